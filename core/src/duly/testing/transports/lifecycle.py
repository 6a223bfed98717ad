"""Opening and closing, again and again, and leaving nothing behind."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from duly.testing.transports.bench import Bench
from duly.testing.transports.discretion import check_discretion
from duly.testing.transports.harness import TransportHarness


class LifecycleCases(TransportHarness):
    """``open`` and ``close``."""

    async def test_opened_twice(self, desk: Bench) -> None:
        await desk.soon(desk.transport.open())
        await desk.publish(envelope := desk.envelope())
        await desk.arrived(envelope)

    async def test_opened_while_it_publishes(self, desk: Bench) -> None:
        envelopes = desk.envelopes(50)
        async with asyncio.TaskGroup() as group:
            group.create_task(desk.publish(*envelopes))
            await asyncio.sleep(0)
            group.create_task(desk.soon(desk.transport.open()))
        await desk.arrived(*envelopes)

    async def test_opened_by_several_at_the_same_time(self, desk: Bench) -> None:
        transport = await desk.make()
        await desk.soon(asyncio.gather(*(transport.open() for _ in range(3))))
        await desk.publish(envelope := desk.envelope(), by=transport)
        await desk.arrived(envelope)

    async def test_opening_cancelled(self, desk: Bench) -> None:
        transport = await desk.make()
        for steps in range(5):
            opening = asyncio.ensure_future(transport.open())
            for _ in range(steps):
                await asyncio.sleep(0)
            opening.cancel()
            await desk.opens_or_tells(opening, cancelled=True)
        await desk.soon(transport.open())
        await desk.publish(envelope := desk.envelope(), by=transport)
        await desk.arrived(envelope)

    async def test_closed_twice(self, desk: Bench) -> None:
        for _ in range(2):
            await desk.soon(desk.transport.close())

    async def test_closed_without_having_been_opened(self, desk: Bench) -> None:
        transport = await desk.make()
        await desk.soon(transport.close())

    async def test_opened_again_after_close(self, desk: Bench) -> None:
        envelopes = desk.envelopes(3)
        for envelope in envelopes:
            await desk.soon(desk.transport.close())
            await desk.soon(desk.transport.open())
            await desk.publish(envelope)
        await desk.arrived(*envelopes)

    async def test_what_was_accepted_is_sent_before_it_closes(self, desk: Bench) -> None:
        envelopes = desk.envelopes(self.many(200))
        await desk.publish(*envelopes)
        await desk.soon(desk.transport.close())
        await desk.arrived(*envelopes)

    async def test_closing_does_not_wait_for_ever_for_a_publish(self, desk: Bench) -> None:
        large = desk.envelope(os.urandom(self.largest))
        publish = asyncio.ensure_future(desk.transport.publish(large))
        await asyncio.sleep(0)
        await desk.soon(desk.transport.close())
        (outcome,) = await desk.soon(asyncio.gather(publish, return_exceptions=True))
        desk.told(outcome)

    async def test_publishing_when_it_is_closed(self, desk: Bench) -> None:
        """It is accepted, by a transport that needs no connection, or raises a TransportError."""
        unopened = await desk.make()
        await desk.soon(desk.transport.close())
        for transport in (unopened, desk.transport):
            publish = transport.publish(envelope := desk.envelope())
            (outcome,) = await desk.soon(asyncio.gather(publish, return_exceptions=True))
            if desk.told(outcome):
                await desk.comes(envelope)

    async def test_it_tells_nobody_what_it_sent_or_knows(self, desk: Bench) -> None:
        await desk.publish(desk.envelope(b"my payload", metadata={"tenant": "my metadata"}))
        secrets = ("my payload", "my metadata", *self.secrets)
        for transport in (desk.transport, await desk.make()):
            check_discretion(transport, secrets)


class LeftoverCases(TransportHarness):
    """What a transport took for itself is gone soon after it was closed."""

    async def test_no_task_is_left(self, desk: Bench) -> None:
        await self._use(desk, asyncio.all_tasks)

    async def test_no_thread_is_left(self, desk: Bench) -> None:
        await self._use(desk, _threads)

    async def test_no_file_is_left_open(self, desk: Bench) -> None:
        await self._use(desk, _files)

    async def _use(self, desk: Bench, things: Callable[[], Iterable[object]]) -> None:
        await desk.publish(first := desk.envelope())  # so that a server here has begun its part
        before = set(things())
        envelopes = desk.envelopes(30)
        for start in range(0, 30, 10):
            transport = await desk.another()
            await desk.publish(*envelopes[start : start + 10], by=transport)
            await desk.soon(transport.close())
        await desk.arrived(first, *envelopes)
        for _ in range(round(self.patience * 100)):
            left = set(things()) - before
            if not left:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"left behind: {left}")


def _threads() -> Iterable[object]:
    # The event loop keeps threads of its own, for whoever needs one.
    return [each for each in threading.enumerate() if not each.name.startswith("asyncio_")]


def _files() -> Iterable[object]:
    return [each.name for each in Path("/dev/fd").iterdir()]
