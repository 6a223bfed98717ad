"""What is on its way when a connection breaks: a real broker behind a wire that is cut."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from tests.servers.mqtt import Mosquitto
from tests.transports.envelopes import envelope
from tests.transports.mqtt_consumer import Consumer
from tests.transports.mqtt_wire import PUBACK, PUBCOMP, PUBREC, Scripted, Wire
from tests.transports.test_mqtt_answers import opened

from duly import Backoff, Filter, Message, Scheduler, State, TransportUnavailable, after
from duly.transport import Envelope
from duly_mqtt.plugin import transport_from_url


class TestSessions:
    @pytest.fixture
    async def wire(self) -> AsyncIterator[Wire]:
        with Mosquitto() as server:
            self.consumer = Consumer(server.url, "x")
            await self.consumer.start()
            async with Wire(server.port) as wire:
                yield wire
            await self.consumer.stop()

    def message(self, payload: bytes) -> Envelope:
        told = envelope(payload=payload)
        told._delivery_id = f"{payload!r}:1:0"
        return told

    async def broken(self, wire: Wire, query: str, *, swallowed: int) -> Counter[bytes]:
        """How often a message arrives whose answer is lost, together with the connection."""
        async with opened(wire.url, f"topic=x/{{event_name}}&{query}") as transport:
            await transport.publish(self.message(b"before"))
            wire.swallowed = {swallowed}
            publish = asyncio.ensure_future(transport.publish(self.message(b"odd")))
            await wire.swallowing.wait()
            wire.swallowed = ()
            wire.cut()
            with pytest.raises(TransportUnavailable, match="the connection was lost"):
                await publish
            await transport.publish(self.message(b"odd"))
            await transport.publish(self.message(b"last"))
            assert wire.connections == 2
            arrivals: list[bytes] = []
            while b"last" not in arrivals:
                found = await self.consumer.wait_for(len(arrivals) + 1)
                arrivals = [each.told.payload for each in found]
            return Counter(arrivals)

    @pytest.mark.parametrize("swallowed", [PUBREC, PUBCOMP])
    async def test_with_a_session_exactly_once_is_exactly_once(self, wire: Wire, swallowed: int):
        found = await self.broken(wire, "qos=2&session=60", swallowed=swallowed)
        assert found == {b"before": 1, b"odd": 1, b"last": 1}

    @pytest.mark.parametrize(
        ("query", "swallowed"), [("qos=2", PUBCOMP), ("qos=1", PUBACK), ("session=60", PUBACK)]
    )
    async def test_otherwise_it_may_come_twice(self, wire: Wire, query: str, swallowed: int):
        found = await self.broken(wire, query, swallowed=swallowed)
        assert found == {b"before": 1, b"odd": 2, b"last": 1}

    async def test_a_broker_that_forgot_the_session_gets_all_anew(self):
        with Mosquitto() as server:  # it keeps nothing on disk
            async with Wire(server.port) as wire:
                async with opened(wire.url, "topic=x/y&qos=2&session=60") as transport:
                    wire.swallowed = {PUBCOMP}
                    publish = asyncio.ensure_future(transport.publish(self.message(b"odd")))
                    await wire.swallowing.wait()
                    server.kill()
                    with pytest.raises(TransportUnavailable):
                        await publish
                    wire.swallowed = ()
                    server.start()
                    consumer = Consumer(server.url, "x")
                    await consumer.start()
                    await transport.publish(self.message(b"odd"))
                    (arrival,) = await consumer.wait_for(1)
                    assert arrival.told.payload == b"odd"
                    await consumer.stop()

    async def test_many_on_their_way(self, wire: Wire):
        """Cut again and again, tried again and again: each arrives once."""
        messages = [self.message(b"%d" % number) for number in range(200)]
        async with opened(wire.url, "topic=x/{event_name}&qos=2&session=60") as transport:

            async def until_accepted(told: Envelope) -> None:
                while True:
                    try:
                        return await transport.publish(told)
                    except TransportUnavailable:
                        await asyncio.sleep(0.005)

            publishes = asyncio.gather(*map(until_accepted, messages))
            for _ in range(10):
                await asyncio.sleep(0.02)
                wire.cut()
            await publishes
            assert wire.connections > 2
        arrivals = await self.consumer.wait_for(200)
        assert Counter(each.told.payload for each in arrivals) == {
            told.payload: 1 for told in messages
        }

    async def test_a_session_ends_when_it_is_closed(self):
        """What was on its way is left to whoever publishes it again."""
        with Mosquitto() as server:
            async with Wire(server.port) as wire:
                query = "topic=x/y&qos=2&session=60&client_id=duly&unmatched=accept"
                async with opened(wire.url, query) as transport:
                    wire.swallowed = {PUBREC}
                    publish = asyncio.ensure_future(transport.publish(self.message(b"odd")))
                    await wire.swallowing.wait()
                with pytest.raises(TransportUnavailable, match="was closed"):
                    await publish
                wire.swallowed = ()
                consumer = Consumer(server.url, "x")
                await consumer.start()
                async with opened(wire.url, query) as transport:
                    await transport.publish(self.message(b"new"))  # under the number of the old
                (arrival,) = await consumer.wait_for(1)
                assert arrival.told.payload == b"new"
                await consumer.stop()


async def test_what_breaks_the_connection_ends_as_a_dead_letter():
    """And nothing else does, although it was on its way at the same time."""

    class Fragile(Scripted):
        async def answer(self, writer: asyncio.StreamWriter, id: bytes) -> None:
            if self.publishes[-1].endswith(b"poison"):
                writer.transport.abort()
                raise ConnectionAbortedError
            await super().answer(writer, id)

    backoff = Backoff(max_retries=0)
    async with (
        Fragile() as broker,
        Scheduler("memory://", transport_from_url(broker.url), recovery=backoff) as scheduler,
    ):
        payloads = [b"good"] * 10 + [b"poison"] + [b"good"] * 10
        due = after(seconds=-1)
        await scheduler.schedule_many([Message("a", each, scheduled_at=due) for each in payloads])
        async with scheduler.running(), asyncio.timeout(20):
            while (stats := await scheduler.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # a client asks
                await asyncio.sleep(0.02)
        (dead,) = await scheduler.list(Filter(state=State.DEAD))
        assert dead.payload == b"poison"
        assert "the connection was lost" in str(dead.last_error)
