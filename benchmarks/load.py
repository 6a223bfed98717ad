"""What the scenarios share: messages to measure with, and how long a store takes with them."""

import asyncio
import gc
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duly

__all__ = ["LEASE", "NoTransport", "chunks", "drain", "due", "emptied", "fill", "schedule", "timed"]

LEASE = timedelta(minutes=5)
_NAMES = 10
_AT_ONCE = 500
_PAYLOAD = b'{"order_id":17,"note":"%s"}' % (b"x" * 75)


class NoTransport:
    """Accepts everything at once."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, envelope: duly.Envelope) -> None: ...


class Paced(NoTransport):
    """Tells the rate from the tenth part of so many messages on, when all is connected."""

    def __init__(self, count: int) -> None:
        self.done = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._first, self._last, self._count = count // 10, count, 0
        self._start = 0.0
        self.rate = 0.0

    async def publish(self, envelope: duly.Envelope) -> None:
        if self._counted():
            self.done.set()

    def plainly(self, envelope: duly.Envelope) -> None:
        """The same as a plain function, which is called in threads."""
        with self._lock:
            over = self._counted()
        if over:
            self._loop.call_soon_threadsafe(self.done.set)

    def _counted(self) -> bool:
        self._count += 1
        if self._count == self._first:
            self._start = time.perf_counter()
        elif self._count == self._last:
            self.rate = (self._last - self._first) / (time.perf_counter() - self._start)
        return self._count == self._last


@dataclass
class Order:
    """What the payload of a typed event is."""

    order_id: int
    note: str


def typed(paced: Paced) -> duly.LocalTransport:
    """Hands the payloads of ten typed events to a function."""
    transport = duly.LocalTransport()

    async def handle(order: Order, envelope: duly.Envelope) -> None:
        await paced.publish(envelope)

    for number in range(_NAMES):
        transport.on(duly.Event(f"event-{number}", Order))(handle)
    return transport


def due(count: int, *, seconds: float = -10) -> list[duly.Message]:
    """Messages of 100 bytes, due in that many seconds, under ten event names."""
    at = duly.after(seconds=seconds)
    return [duly.Message(f"event-{n % _NAMES}", _PAYLOAD, scheduled_at=at) for n in range(count)]


def chunks(messages: Sequence[duly.Message], size: int = _AT_ONCE) -> Iterator[list[duly.Message]]:
    """As many as are stored at a time."""
    for start in range(0, len(messages), size):
        yield list(messages[start : start + size])


async def fill(url: str, messages: Sequence[duly.Message]) -> None:
    """Store them all."""
    async with duly.Client(url) as client:
        for chunk in chunks(messages):
            await client.schedule_many(chunk)


async def emptied(client: duly.Client, but: int = 0) -> None:
    """Wait until no more than that is left, however it is held."""
    while True:
        stats = await client.stats()
        if stats.scheduled + stats.claimed <= but:
            return
        await asyncio.sleep(0.01)


async def drain(
    url: str,
    count: int,
    batch: int,
    *,
    filled: bool = False,
    way: str = "transport",
    **options: Any,
) -> float:
    """Messages per second from a store through a scheduler.

    ``way`` is what they go to: a "transport", an "async" function, a "plain" one, or an async one
    of a "typed" event.
    """
    paced = Paced(count)
    ways: dict[str, Any] = {
        "async": paced.publish, "plain": paced.plainly, "typed": typed(paced),
    }  # fmt: skip
    handed = ways.get(way, paced)
    async with duly.Scheduler(url, handed, batch_size=batch, **options) as scheduler:
        if not filled:
            for chunk in chunks(due(count)):
                await scheduler.schedule_many(chunk)
        gc.collect()
        async with scheduler.running():
            await paced.done.wait()
        return paced.rate


async def schedule(url: str, count: int, way: str) -> float:
    """Messages per second that are stored: ``bulk`` (500), ``together`` (200 callers), ``single``.

    They are made before.
    """
    messages = due(count, seconds=3600)
    async with duly.Client(url) as client:
        if way == "bulk":
            parts = list(chunks(messages))
            return count / await timed(lambda: _each(client.schedule_many, parts))
        callers = 200 if way == "together" else 1
        source = iter(messages)

        async def call() -> None:
            for message in source:
                await client.schedule(message)

        return count / await timed(lambda: asyncio.gather(*[call() for _ in range(callers)]))


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that something takes."""
    gc.collect()
    start = time.perf_counter()
    await work()
    return time.perf_counter() - start


async def _each(call: Callable[[Any], Awaitable[object]], arguments: Sequence[Any]) -> None:
    for argument in arguments:
        await call(argument)
