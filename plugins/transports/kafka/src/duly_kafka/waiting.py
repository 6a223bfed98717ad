"""What brokers have not confirmed yet."""

import asyncio
import time
from collections.abc import Callable

from aiokafka.structs import RecordMetadata

from duly.errors import TransportError

__all__ = ["Waiting"]


class Waiting:
    """Records on their way, the oldest first, and since when."""

    def __init__(self) -> None:
        self._since: dict[asyncio.Future[RecordMetadata], float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, future: asyncio.Future[RecordMetadata]) -> None:
        """Take note of one that was handed over just now, until it is done."""
        self._since[future] = time.monotonic()
        future.add_done_callback(self._forget)

    def longest(self) -> float:
        """How many seconds the oldest has waited; 0 where none waits."""
        return time.monotonic() - next(iter(self._since.values()), time.monotonic())

    def fail(self, make: Callable[[], TransportError], *, after: float = 0.0) -> None:
        """Fail all that have waited so many seconds, each with an error of its own."""
        latest = time.monotonic() - after
        for future, since in list(self._since.items()):
            if since <= latest and not future.done():
                future.set_exception(make())

    async def pass_by(self, patience: float) -> None:
        """Return when none waits any more, or after so many seconds."""
        end = time.monotonic() + patience
        while self._since and (left := end - time.monotonic()) > 0:
            await asyncio.wait(list(self._since), timeout=left)

    def _forget(self, future: asyncio.Future[RecordMetadata]) -> None:
        self._since.pop(future, None)
