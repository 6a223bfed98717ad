"""Work on old rows while the store is already in use."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from duly import StoreError

__all__ = ["Upkeep"]

_PAUSE: Final = 60.0  # seconds until it is tried again


class Upkeep:
    """Works in the background until it is done, whatever errors occur."""

    def __init__(self) -> None:
        self.done: Sequence[str] = ()
        """The ids of what it changed."""
        self._task: asyncio.Task[None] | None = None

    def start(self, work: Callable[[], Awaitable[Sequence[str]]]) -> None:
        """Begin with it."""
        self._task = asyncio.create_task(self._run(work), name="duly-postgres-upkeep")

    async def close(self) -> None:
        """Stop it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, work: Callable[[], Awaitable[Sequence[str]]]) -> None:
        while True:
            with contextlib.suppress(StoreError):  # the other calls tell of it
                self.done = await work()
                return
            await asyncio.sleep(_PAUSE)
