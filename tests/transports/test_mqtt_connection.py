"""Connections to brokers of MQTT: how they are made, kept, lost and made anew."""

import asyncio
import logging
import os

import pytest
from tests.servers.mqtt import Amqtt, Mosquitto, mqtt_url, old_mqtt
from tests.servers.process import free_port
from tests.transports.envelopes import envelope
from tests.transports.mqtt_consumer import Consumer
from tests.transports.mqtt_wire import Listener, Scripted, Wire, welcome
from tests.transports.test_mqtt_answers import opened

from duly import TransportError, TransportUnavailable
from duly_mqtt import MqttTransport
from duly_mqtt.plugin import transport_from_url

__all__ = ["mqtt_url", "old_mqtt"]  # fixtures are found by their names


class TestOldBrokers:
    async def test_what_is_lost_is_said_once(self, old_mqtt: str, caplog: pytest.LogCaptureFixture):
        transport = transport_from_url(old_mqtt)
        for _ in range(2):
            await transport.open()
            await transport.publish(envelope())
            assert await transport.check() == []
            await transport.close()
        (record,) = [each for each in caplog.records if each.name == "duly.mqtt"]
        assert "headers and content type do not arrive" in record.getMessage()

    async def test_only_5_if_so_wanted(self, old_mqtt: str):
        transport = transport_from_url(f"{old_mqtt}?version=5")
        with pytest.raises(TransportError, match="unsupported protocol version") as told:
            await transport.open()
        assert type(told.value) is TransportError
        await transport.close()

    async def test_one_that_does_not_notice_what_it_was_asked_for(self):
        """It answers MQTT 5 as if it were 3.1.1, so that properties would end up in payloads."""
        async with Scripted(welcome=b"\x20\x02\x00\x00") as broker, opened(broker.url) as transport:
            assert broker.connections == 2
            await transport.publish(envelope(payload=b"bare"))
            (packet,) = broker.publishes
            assert packet.endswith(b"orders.reminder\x00\x01bare")

    async def test_a_session_ends_with_the_version_that_has_it(self):
        """The broker is replaced by an older one, in which nothing may be left behind."""

        class Downgraded(Scripted):
            def greet(self, hello: bytes) -> bytes:
                if len(self.hellos) == 1:
                    return welcome()
                return b"\x20\x02\x00\x01" if hello[8] == 5 else b"\x20\x02\x00\x00"

        async with Downgraded() as broker, opened(broker.url, "session=60&qos=1") as transport:
            await transport.publish(envelope())
            await cut(broker, transport)
            await transport.publish(envelope())
            assert [(hello[8], hello[9] & 2) for hello in broker.hellos] == [(5, 2), (5, 0), (4, 2)]

    async def test_an_upgraded_broker_is_asked_anew(self):
        with Amqtt() as old:
            transport = transport_from_url(f"{old.url}?topic=x/y&unmatched=accept")
            await transport.open()
            await transport.publish(envelope())
        with pytest.raises(TransportUnavailable):
            await transport.publish(envelope())
        with Mosquitto(port=old.port) as new:
            consumer = Consumer(new.url, "x")
            await consumer.start()
            await transport.publish(envelope())
            (arrival,) = await consumer.wait_for(1)
            assert arrival.told.headers["duly-delivery-id"] == "a:1:0"
            await consumer.stop()
            await transport.close()


class TestHosts:
    async def test_the_first_that_answers(self, mqtt_url: str):
        place = mqtt_url.removeprefix("mqtt://")
        nobody = f"127.0.0.1:{free_port()}"
        async with opened(f"mqtt://{nobody},{place}", "unmatched=accept") as transport:
            await transport.publish(envelope())

    async def test_none(self):
        ports = [free_port(), free_port()]
        transport = transport_from_url(f"mqtt://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}")
        with pytest.raises(TransportUnavailable) as told:
            await transport.open()
        assert all(f"127.0.0.1:{port}" in str(told.value) for port in ports)
        await transport.close()

    @pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 80, "."])
    async def test_no_such_host(self, host: str):
        transport = transport_from_url(f"mqtt://{host}")
        with pytest.raises(TransportUnavailable):
            await transport.open()
        await transport.close()

    async def test_one_that_never_answers(self):
        async with Scripted(welcome=b"") as broker:
            transport = transport_from_url(f"{broker.url}?timeout=0.1")
            with pytest.raises(TransportUnavailable, match="no answer in time"):
                await transport.open()
            await transport.close()


class TestLiveness:
    @pytest.mark.parametrize("query", ["keepalive=1", "keepalive=1&qos=2", "keepalive=1&qos=0"])
    async def test_a_frozen_broker_is_found_out_and_comes_back(self, query: str):
        with Mosquitto() as server:
            query += "&timeout=3&topic=x/y&unmatched=accept"
            async with opened(server.url, query) as transport:
                connection = transport._connection
                assert connection is not None
                server.freeze()
                publishes = [asyncio.ensure_future(transport.publish(envelope())) for _ in "123"]
                outcomes = await asyncio.gather(*publishes, return_exceptions=True)
                if "qos=0" not in query:  # with which nobody knows
                    assert {type(each) for each in outcomes} == {TransportUnavailable}
                async with asyncio.timeout(10):
                    await connection._ended.wait()
                assert "silent for 1.5 s" in str(connection.lost())
                (reason,) = await transport.check()
                assert "no answer in time" in reason
                server.thaw()
                await transport.publish(envelope())

    async def test_a_quiet_connection_is_kept_alive(self):
        async with Wire(0) as wire:
            with Mosquitto() as server:
                wire._to = server.port
                async with opened(wire.url, "keepalive=2&unmatched=accept") as transport:
                    await asyncio.sleep(4)  # it would have been cut after 3
                    await transport.publish(envelope())
                    assert wire.connections == 1

    async def test_the_broker_may_say_how_often(self):
        async with Scripted(welcome=welcome(b"\x13\x00\x01")) as broker:
            async with opened(broker.url, "keepalive=60"):
                async with asyncio.timeout(10):
                    await broker.asked.wait()

    async def test_another_client_of_the_same_id_is_told_of(self, mqtt_url: str):
        query = f"client_id=duly{os.urandom(6).hex()}&unmatched=accept"
        async with opened(mqtt_url, query) as first, opened(mqtt_url, query) as second:
            connection = first._connection
            assert connection is not None
            await connection._ended.wait()
            await second.publish(envelope())
            await first.publish(envelope())
        async with Scripted(b"\xe0\x01\x8e") as broker, opened(broker.url) as transport:
            with pytest.raises(TransportUnavailable, match="each needs its own"):
                await transport.publish(envelope())


class TestLoudness:
    async def test_nothing_acknowledges(self, mqtt_url: str, caplog: pytest.LogCaptureFixture):
        async with opened(mqtt_url, "qos=0"):
            (record,) = [each for each in caplog.records if each.name == "duly.mqtt"]
            assert record.levelno == logging.WARNING
            assert "nothing acknowledges a message" in record.getMessage()

    async def test_a_logging_filter_that_raises_does_not_keep_it_closed(
        self, mqtt_url: str, monkeypatch: pytest.MonkeyPatch
    ):
        def fail(_record: logging.LogRecord) -> None:
            raise OSError("the log server is gone")

        monkeypatch.setattr(logging.getLogger("duly.mqtt"), "filters", [fail])
        async with opened(mqtt_url, "qos=0") as transport:
            await transport.publish(envelope())

    @pytest.mark.parametrize("query", ["qos=1", "qos=2", "version=3.1.1"])
    async def test_otherwise_it_is_quiet(
        self, mqtt_url: str, caplog: pytest.LogCaptureFixture, query: str
    ):
        async with opened(mqtt_url, query):
            assert not caplog.records


async def cut(wire: Listener, transport: MqttTransport) -> None:
    """Cut its connection, and see it take note of that."""
    connection = transport._connection
    assert connection is not None
    wire.cut()
    async with asyncio.timeout(20):
        await connection._ended.wait()


async def test_nothing_is_left_of_broken_connections(mqtt_url: str):
    port = int(mqtt_url.rpartition(":")[2])
    async with Wire(port) as wire, opened(wire.url, "unmatched=accept") as transport:

        def used() -> dict[str, int]:
            files = os.listdir("/dev/fd")  # noqa: PTH208  # a Path is said to block
            return {"files": len(files), "tasks": len(asyncio.all_tasks())}

        await transport.publish(envelope())
        before = used()
        for _ in range(20):
            await cut(wire, transport)
            await transport.publish(envelope())
        async with asyncio.timeout(20):
            while any(number > before[what] for what, number in used().items()):  # noqa: ASYNC110  # connections end one by one
                await asyncio.sleep(0.005)
        assert wire.connections == 21


async def test_closing_while_it_connects():
    async with Scripted(welcome=b"") as broker:
        transport = transport_from_url(broker.url)
        opening = asyncio.ensure_future(transport.open())
        await broker.connected.wait()
        await transport.close()
        with pytest.raises(TransportUnavailable, match="was closed"):
            await opening


async def test_not_open():
    transport = transport_from_url("mqtt://127.0.0.1")
    with pytest.raises(TransportUnavailable, match="is not open"):
        await transport.publish(envelope())
    (outcome,) = await transport.publish_many([envelope()])
    assert isinstance(outcome, TransportUnavailable)
    assert await transport.check() == ["mqtt://127.0.0.1:1883: the transport is not open"]


async def test_again_in_another_event_loop(mqtt_url: str):
    transport = transport_from_url(f"{mqtt_url}?unmatched=accept&session=5")

    async def use() -> None:
        await transport.open()
        await asyncio.gather(*(transport.publish(envelope()) for _ in range(50)))
        await transport.close()

    await use()
    await asyncio.to_thread(asyncio.run, use())
    await use()
