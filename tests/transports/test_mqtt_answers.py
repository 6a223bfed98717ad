"""What brokers of MQTT answer, sorted: by Mosquitto where it says it, else by one that poses."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from tests.servers.mqtt import Mosquitto
from tests.transports.envelopes import envelope
from tests.transports.mqtt_consumer import Consumer
from tests.transports.mqtt_wire import (
    PUBACK,
    PUBCOMP,
    PUBREC,
    Scripted,
    ack,
    codes,
    welcome,
)

from duly import Rejected, TransportError, TransportUnavailable
from duly_mqtt import MqttTransport
from duly_mqtt.plugin import transport_from_url

NEVER = [0x87, 0x90, 0x95, 0x99]
LATER = [0x80, 0x83, 0x91, 0x97, 0xC8]


@asynccontextmanager
async def opened(url: str, query: str = "") -> AsyncIterator[MqttTransport]:
    transport = transport_from_url(f"{url}?{query}")
    await transport.open()
    try:
        yield transport
    finally:
        await transport.close()


@pytest.fixture(scope="module")
def strict() -> Iterator[Mosquitto]:
    """Lets nobody publish below ``closed``, and takes payloads of up to 1,000 bytes."""
    server = Mosquitto("message_size_limit 1000", "acl_file {folder}/acl")
    (server.folder / "acl").write_text("topic readwrite open/#\n")
    with server:
        yield server


@pytest.mark.parametrize("qos", [1, 2])
class TestMosquitto:
    async def test_nobody_subscribes(self, strict: Mosquitto, qos: int):
        async with opened(strict.url, f"topic=open/alone&qos={qos}") as transport:
            if qos == 2:  # with which Mosquitto does not say so
                await transport.publish(envelope())
                return
            with pytest.raises(TransportError, match="open/alone: nobody subscribes to it") as told:
                await transport.publish(envelope())
            assert type(told.value) is TransportError
            (outcome,) = await transport.publish_many([envelope()])
            assert type(outcome) is TransportError
            consumer = Consumer(strict.url, "open")
            await consumer.start()
            await transport.publish(envelope())
            await consumer.wait_for(1)
            await consumer.stop()

    @pytest.mark.parametrize("query", ["unmatched=accept", "retain=true"])
    async def test_which_may_be_accepted(self, strict: Mosquitto, qos: int, query: str):
        topic = f"topic=open/kept/{qos}"
        async with opened(strict.url, f"{topic}&qos={qos}&{query}") as transport:
            await transport.publish(envelope())
            assert await transport.publish_many([envelope()]) == [None]

    async def test_not_authorized(self, strict: Mosquitto, qos: int):
        async with opened(strict.url, f"topic=closed/{{event_name}}&qos={qos}") as transport:
            with pytest.raises(Rejected, match="closed/a: not authorized"):
                await transport.publish(envelope("a"))
            (outcome,) = await transport.publish_many([envelope("b")])
            assert isinstance(outcome, Rejected)

    async def test_packet_too_large(self, strict: Mosquitto, qos: int):
        """It announces no limit, and its answer has a code that no answer may have."""
        query = f"topic=open/{{event_name}}&qos={qos}&unmatched=accept"
        async with opened(strict.url, query) as transport:
            with pytest.raises(Rejected, match="packet too large"):
                await transport.publish(envelope(payload=bytes(1001)))
            await transport.publish(envelope(payload=bytes(1000)))


@pytest.mark.parametrize(("kind", "qos"), [(PUBACK, "qos=1"), (PUBREC, "qos=2")])
class TestCodes:
    async def test_what_can_never_pass(self, kind: int, qos: str):
        async with Scripted(*codes(kind, NEVER)) as broker:
            async with opened(broker.url, qos) as transport:
                for _ in NEVER:
                    with pytest.raises(Rejected):
                        await transport.publish(envelope())

    async def test_what_may_pass_later(self, kind: int, qos: str):
        async with Scripted(*codes(kind, LATER)) as broker:
            async with opened(broker.url, qos) as transport:
                for number in LATER:
                    with pytest.raises(TransportError, match=f"{number:#04x}") as told:
                        await transport.publish(envelope())
                    assert type(told.value) is TransportError

    async def test_the_broker_s_own_words_are_told_without_secrets(self, kind: int, qos: str):
        said = "full, see https://admin:geheim@broker.example/"
        async with Scripted(ack(kind, 0x97, said)) as broker:
            async with opened(broker.url, qos) as transport:
                with pytest.raises(TransportError, match="quota exceeded.*broker.example") as told:
                    await transport.publish(envelope())
        assert "geheim" not in str(told.value)

    async def test_a_refusal_makes_room(self, kind: int, qos: str):
        """Whatever the answer, one more may be sent."""
        async with Scripted(*codes(kind, [0x97] * 30)) as broker:
            async with opened(broker.url, f"{qos}&inflight=3") as transport:
                outcomes = await transport.publish_many([envelope()] * 30)
        assert [type(each) for each in outcomes] == [TransportError] * 30


class TestExactlyOnce:
    async def test_a_refused_message_is_not_released(self):
        async with Scripted(ack(PUBREC, 0x87)) as broker:
            async with opened(broker.url, "qos=2") as transport:
                with pytest.raises(Rejected):
                    await transport.publish(envelope())
            assert 6 not in broker.others  # PUBREL

    async def test_nobody_subscribes_is_told_by_the_first_of_two_answers(self):
        answers = ack(PUBREC, 0x10) + ack(PUBCOMP, 0)
        async with Scripted(answers) as broker, opened(broker.url, "qos=2") as transport:
            with pytest.raises(TransportError, match="nobody subscribes"):
                await transport.publish(envelope())


class TestRefusedConnections:
    @pytest.mark.parametrize("code", [0x82, 0x85, 0x86, 0x87, 0x8A, 0x8C])
    async def test_somebody_has_to_mend_it(self, code: int):
        async with Scripted(welcome=welcome(code=code)) as broker:
            transport = transport_from_url(broker.url)
            with pytest.raises(TransportError, match="refuses the connection") as told:
                await transport.open()
            assert type(told.value) is TransportError
            await transport.close()

    @pytest.mark.parametrize("code", [0x80, 0x88, 0x89, 0x97, 0x9F])
    async def test_it_will_pass(self, code: int):
        async with Scripted(welcome=welcome(code=code)) as broker:
            transport = transport_from_url(broker.url)
            with pytest.raises(TransportUnavailable, match="refuses the connection"):
                await transport.open()
            await transport.close()

    async def test_refused_in_mid_life_is_an_outage(self):
        async with Scripted() as broker, opened(broker.url) as transport:
            broker._welcome = welcome(code=0x87)
            broker.cut()
            await asyncio.sleep(0)
            for _ in range(2):
                with pytest.raises(TransportUnavailable):
                    await transport.publish(envelope())
            (reason,) = await transport.check()
            assert "not authorized" in reason
            broker._welcome = welcome()
            await transport.publish(envelope())
            assert await transport.check() == []


class TestNonsense:
    @pytest.mark.parametrize(
        "answer",
        [
            b"\x30\x03\x00\x01a",  # a PUBLISH
            b"\x40\x01\x00",  # a PUBACK without a number
            b"\x40\x05??\x00\x02\x1f",  # properties that end too early
            b"\x40\x05??\x00\x01\x7e",  # an unknown property
            b"\x40\xff\xff\xff\xff",  # a length without an end
            b"\x40\xff\xff\xff\x7f",  # ... or beyond all sense
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
        ],
    )
    async def test_the_connection_is_given_up_and_made_anew(self, answer: bytes):
        async with Scripted(answer) as broker, opened(broker.url) as transport:
            with pytest.raises(TransportUnavailable, match="the broker sent"):
                await transport.publish(envelope())
            await transport.publish(envelope())
            assert broker.connections == 2

    @pytest.mark.parametrize(
        ("qos", "kind", "told"),
        [
            (1, PUBREC, "a PUBREC for a message of QoS 1"),
            (1, PUBCOMP, "a PUBCOMP without a PUBREC"),
            (2, PUBACK, "a PUBACK for a message of QoS 2"),
            (2, PUBCOMP, "a PUBCOMP without a PUBREC"),
        ],
    )
    @pytest.mark.parametrize("code", [0, 0x10, 0x97])
    async def test_an_answer_of_another_quality(self, qos: int, kind: int, told: str, code: int):
        right = ack(PUBACK, 0) if qos == 1 else ack(PUBREC, 0) + ack(PUBCOMP, 0)
        async with (
            Scripted(ack(kind, code), right) as broker,
            opened(broker.url, f"qos={qos}") as transport,
        ):
            with pytest.raises(TransportUnavailable, match=f"the broker sent {told}"):
                await transport.publish(envelope())
            await transport.publish(envelope())
            assert broker.connections == 2

    @pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x40\x02\x00\x01", b""])
    async def test_no_broker_at_all(self, greeting: bytes):
        async with Scripted(welcome=greeting) as broker:
            transport = transport_from_url(f"{broker.url}?timeout=0.2")
            with pytest.raises(TransportUnavailable):
                await transport.open()
            await transport.close()

    async def test_answers_to_what_nobody_asked(self):
        odd = b"\x40\x02\x77\x77" + b"\x70\x02\x77\x77" + b"\x50\x02\x77\x77" + b"\xd0\x00"
        async with Scripted(odd + b"\x40\x02??") as broker, opened(broker.url) as transport:
            await transport.publish(envelope())
            assert await transport.publish_many([envelope()] * 3) == [None] * 3
            assert broker.connections == 1

    async def test_the_broker_says_goodbye(self):
        async with Scripted(b"\xe0\x01\x8b", b"\xe0\x00") as broker:
            async with opened(broker.url) as transport:
                with pytest.raises(TransportUnavailable, match="server shutting down"):
                    await transport.publish(envelope())
                with pytest.raises(TransportUnavailable):
                    await transport.publish(envelope())
                await transport.publish(envelope())


async def test_one_failure_in_a_batch_leaves_the_others():
    answers = [ack(PUBACK, code) for code in (0, 0x87, 0x10, 0x97, 0)]
    async with Scripted(*answers) as broker, opened(broker.url) as transport:
        outcomes = await transport.publish_many([envelope()] * 5)
    assert [type(each) for each in outcomes] == [
        type(None), Rejected, TransportError, TransportError, type(None)
    ]  # fmt: skip
