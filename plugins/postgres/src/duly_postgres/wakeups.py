"""A bell that is rung when something came in, for all who wait at one store."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["Bell"]


class Bell:
    """Counts how often it was rung, so that nobody misses what happens between two waits."""

    def __init__(self) -> None:
        self._rings = 0
        self._heard = 0  # by whoever heard last
        self._heard_by: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._waiting: set[asyncio.Future[None]] = set()

    def ring(self) -> None:
        """Wake all who wait, and those who are about to."""
        self._rings += 1
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self) -> None:
        """Return when it was rung since this task last returned from here.

        For a task that comes for the first time, it counts since any task last returned: so nothing
        is missed if each wait is a task of its own.
        """
        task = asyncio.current_task()
        assert task is not None, "coroutines run in tasks"  # noqa: S101  # for the type checker
        if self._heard_by.get(task, self._heard) == self._rings:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(future)
            try:
                await future
            finally:
                self._waiting.discard(future)
        self._heard_by[task] = self._heard = self._rings
