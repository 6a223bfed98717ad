"""What a broker of MQTT says that it takes, and that no more is sent to it."""

import asyncio

import pytest
from tests.transports.envelopes import envelope
from tests.transports.mqtt_wire import Hesitant, Scripted, welcome
from tests.transports.test_mqtt_answers import opened

from duly import Rejected, TransportError
from duly_mqtt.plugin import transport_from_url


class TestLimits:
    @pytest.mark.parametrize("most", [1, 7])
    async def test_no_more_on_their_way_than_the_broker_wants(self, most: int):
        async with Hesitant(welcome=welcome(b"\x21" + most.to_bytes(2, "big"))) as broker:
            async with opened(broker.url) as transport:
                await asyncio.gather(*(transport.publish(envelope()) for _ in range(15)))
                assert await transport.publish_many([envelope()] * 15) == [None] * 15
        assert broker.most == most

    async def test_no_more_on_their_way_than_we_want(self):
        async with Hesitant(welcome=welcome()) as broker:
            async with opened(broker.url, "inflight=4") as transport:
                assert await transport.publish_many([envelope()] * 15) == [None] * 15
        assert broker.most == 4

    async def test_a_cancelled_publish_counts_until_it_is_answered(self):
        async with Hesitant(welcome=welcome(b"\x21\x00\x02")) as broker:
            async with opened(broker.url) as transport:
                publishes = [asyncio.ensure_future(transport.publish(envelope())) for _ in "1234"]
                await broker.some_came.wait()
                for each in publishes:
                    each.cancel()
                await asyncio.gather(*(transport.publish(envelope()) for _ in range(6)))
        assert broker.most == 2

    async def test_the_largest_packet_to_the_byte(self):
        largest = 500
        async with Scripted(welcome=welcome(b"\x27" + largest.to_bytes(4, "big"))) as broker:
            async with opened(broker.url) as transport:
                await transport.publish(envelope(payload=bytes(100)))
                fits = largest - len(broker.publishes[0]) + 100
                await transport.publish(envelope(payload=bytes(fits)))
                assert len(broker.publishes[1]) == largest
                with pytest.raises(Rejected, match="501 bytes, of which the broker takes 500"):
                    await transport.publish(envelope(payload=bytes(fits + 1)))
            assert len(broker.publishes) == 2
            assert broker.connections == 1

    @pytest.mark.parametrize(
        ("told", "query", "said"),
        [
            (b"\x24\x00", "", "QoS 0 at most"),
            (b"\x24\x01", "qos=2", "QoS 1 at most"),
            (b"\x25\x00", "retain=true", "retains no messages"),
        ],
    )
    async def test_what_the_broker_does_not_have(self, told: bytes, query: str, said: str):
        async with Scripted(welcome=welcome(told)) as broker:
            transport = transport_from_url(f"{broker.url}?{query}")
            with pytest.raises(TransportError, match=said) as error:
                await transport.open()
            assert type(error.value) is TransportError
            await transport.close()
