"""One run for all who call at the same time: of a thousand publishes only one connects."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

__all__ = ["Shared"]

T = TypeVar("T")


class Shared(Generic[T]):
    """A coroutine function that runs once at a time; calls meanwhile wait for that run.

    A caller that is cancelled leaves it running for the others, and for :meth:`cancel`.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The result of the run, or what it raised."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
            self._task.add_done_callback(self._done)
        return await asyncio.shield(self._task)

    async def cancel(self) -> None:
        """End the run, if there is one; those who wait for it get CancelledError."""
        if (task := self._task) is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await asyncio.shield(task)

    def _done(self, task: asyncio.Task[T]) -> None:
        if task is self._task:
            self._task = None
        if not task.cancelled():
            task.exception()  # known to those who waited, if anybody still does
