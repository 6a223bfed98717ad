"""Schedulers whose past is kept, in time that a test turns."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import duly
from duly import Failure, Message, Verdict
from duly.testing import FakeStore
from duly_history import History

__all__ = ["START", "Scene", "kept", "scene", "thrice", "until"]

START: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)


def thrice(failure: Failure) -> Verdict:
    """Tries again a minute later, three times."""
    if failure.attempt > 3:
        return duly.Bury(failure.error_text or "its scheduler died")
    return duly.Retry(timedelta(minutes=1))


class Scene:
    """A scheduler on a store, and a history, all by one clock that stands still.

    ``failures`` are how many deliveries fail before the others succeed.
    """

    def __init__(self, url: str, **options: Any) -> None:
        self.store = FakeStore(now=START)
        self.history = History(url, clock=lambda: self.store.now, **options)
        self.failures = 0
        self.scheduler = duly.Scheduler(
            self.store, self._handle, plugins=[self.history], recovery=thrice
        )

    async def schedule(self, id: str, name: str = "orders.reminder", **after: float) -> None:
        """For that long from now."""
        at = self.store.after(**(after or {"seconds": 0}))
        await self.scheduler.schedule(Message(name, b"secret", id=id, scheduled_at=at))

    async def drain(self, **more: float) -> None:
        """Deliver what is due, and what comes due for that long."""
        end = self.store.after(**more) if more else None
        await self.scheduler.drain(until=end, raise_failures=False)

    async def told(self, id: str) -> list[str]:
        """What became of a message, in words."""
        await self.history.flush()
        return [each.what.value for each in (await self.history.of(id)).entries]

    async def _handle(self, envelope: duly.Envelope) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError(f"mailbox {self.failures} of '{envelope.message_id}' is full")


@asynccontextmanager
async def scene(url: str, **options: Any) -> AsyncIterator[Scene]:
    """Closed at the end of the block."""
    made = Scene(url, **options)
    try:
        async with made.scheduler:
            yield made
    finally:
        await made.history.close()


@asynccontextmanager
async def kept(history: History) -> AsyncIterator[History]:
    """Closed at the end of the block."""
    try:
        yield history
    finally:
        await history.close()


async def until(condition: Callable[[], Any]) -> None:
    """Wait until that is so."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # a thread makes it so
            await asyncio.sleep(0.01)
