"""Sessions that go on with brokers that have changed, or that hang up at once."""

import asyncio

import pytest
from tests.transports.envelopes import envelope
from tests.transports.mqtt_wire import Scripted, welcome
from tests.transports.test_mqtt_answers import opened

from duly import TransportUnavailable
from duly_mqtt.plugin import transport_from_url


class Changing(Scripted):
    """Greets each connection with the next of these; ``silent`` ones get no acknowledgement."""

    def __init__(self, *greetings: bytes, silent: int) -> None:
        super().__init__()
        self._greetings = list(greetings)
        self._silent = silent

    def greet(self, hello: bytes) -> bytes:
        return self._greetings[len(self.hellos) - 1]

    async def answer(self, writer: asyncio.StreamWriter, id: bytes) -> None:
        if self.connections > self._silent:
            await super().answer(writer, id)


@pytest.mark.parametrize(
    ("query", "greeting"),
    [
        ("version=5", welcome(session=True)),
        ("version=5&session=60", welcome(session=True)),  # of which there was none before
        ("version=3.1.1", b"\x20\x02\x01\x00"),
    ],
)
async def test_a_session_that_the_broker_was_told_to_forget(query: str, greeting: bytes):
    """Numbers of packets mean something else to it than to us."""
    async with Scripted(welcome=greeting) as broker:
        transport = transport_from_url(f"{broker.url}?{query}")
        with pytest.raises(TransportUnavailable, match="a session that it was told to forget"):
            await transport.open()
        await transport.close()
        assert broker.connections == 1


async def test_a_connection_that_ends_at_once_resumes_nothing():
    """Its messages would wait for an answer that only the next connection could bring."""
    farewell = b"\xe0\x01\x8b"  # shutting down
    again = welcome(session=True)
    async with (
        Changing(welcome(), again + farewell, again, silent=1) as broker,
        opened(broker.url, "session=60") as transport,
        asyncio.timeout(10),
    ):
        publish = asyncio.ensure_future(transport.publish(envelope()))
        while not broker.publishes:  # noqa: ASYNC110  # a stream tells nobody
            await asyncio.sleep(0.005)
        broker.cut()
        with pytest.raises(TransportUnavailable, match="the connection was lost"):
            await publish
        with pytest.raises(TransportUnavailable, match="shutting down"):
            await transport.publish(envelope())
        await transport.publish(envelope())


class Counting(Changing):
    """From the second connection on takes a while, and counts what is on its way meanwhile."""

    async def answer(self, writer: asyncio.StreamWriter, id: bytes) -> None:
        if self.connections > self._silent:
            asyncio.get_running_loop().call_later(0.02, self._acknowledge, writer, id)

    def _acknowledge(self, writer: asyncio.StreamWriter, id: bytes) -> None:
        self.unanswered -= 1
        writer.write(b"\x40\x02" + id)


async def test_no_more_goes_on_than_the_broker_wants_by_now():
    """Nor is more sent later, when what went on is answered."""
    few = welcome(b"\x21\x00\x02", session=True)
    async with (
        Counting(welcome(), few, silent=1) as broker,
        opened(broker.url, "session=60") as transport,
        asyncio.timeout(10),
    ):
        told = [envelope(payload=b"%d" % number) for number in range(6)]
        for number, each in enumerate(told):
            each._delivery_id = f"a:{number}:0"
        first = [asyncio.ensure_future(transport.publish(each)) for each in told]
        while len(broker.publishes) < len(told):  # noqa: ASYNC110  # a stream tells nobody
            await asyncio.sleep(0.005)
        broker.cut()
        await asyncio.gather(*first, return_exceptions=True)
        broker.most = 0
        more = [envelope(payload=b"more") for _ in range(6)]
        await asyncio.gather(*map(transport.publish, [*told, *more]))
        assert broker.most == 2
        again = broker.publishes[len(told) :]
        assert [each[0] for each in again] == [0x3A] * 6 + [0x32] * 6
        assert [each[-1:] for each in again[:6]] == [each.payload for each in told]
