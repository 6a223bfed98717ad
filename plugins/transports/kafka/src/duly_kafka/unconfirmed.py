"""Records that brokers have not confirmed yet."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

from aiokafka.structs import RecordMetadata

from duly.errors import TransportError

__all__ = ["Waiting"]


class Waiting:
    """Records in flight, the oldest first, and since when."""

    def __init__(self) -> None:
        self._since: dict[asyncio.Future[RecordMetadata], float] = {}

    def __len__(self) -> int:
        return len(self._since)

    def add(self, future: asyncio.Future[RecordMetadata]) -> None:
        """Take note of one that was handed over just now."""
        self._since[future] = time.monotonic()

    async def outcomes(
        self, futures: Collection[asyncio.Future[RecordMetadata]]
    ) -> Sequence[RecordMetadata | Exception]:
        """What became of these, in order, when all are done."""
        found: list[RecordMetadata | Exception] = []
        try:
            for future in futures:  # one after the other is cheapest: a batch is done as a whole
                try:
                    found.append(await future)
                except Exception as error:  # noqa: BLE001  # each has an outcome of its own
                    found.append(error)
        finally:
            self.let_go(futures)
        return found

    def let_go(self, futures: Collection[asyncio.Future[RecordMetadata]]) -> None:
        """Take note that nobody waits for these any more, whether they are done or not."""
        for future in futures:
            self._since.pop(future, None)
            if not future.cancel() and not future.cancelled():
                future.exception()  # or asyncio would log it as never retrieved

    def longest(self) -> float:
        """How many seconds the oldest has waited; 0 if none waits."""
        return time.monotonic() - next(iter(self._since.values()), time.monotonic())

    def fail(self, make: Callable[[], TransportError], *, after: float = 0.0) -> None:
        """Fail all that have waited this many seconds, each with an error of its own."""
        latest = time.monotonic() - after
        for future, since in list(self._since.items()):
            if since <= latest and not future.done():
                future.set_exception(make())

    async def pass_by(self, patience: float) -> None:
        """Return when none waits any more, or after so many seconds."""
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0:
            undone = [future for future in self._since if not future.done()]
            if not undone:
                return
            await asyncio.wait(undone, timeout=left)
