"""The verbs of the store that count what is to come, and by event name."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from duly.store import Due, DueCounts, NameStats, Overdue
from duly_redis.ahead import due_counts
from duly_redis.between import due_between
from duly_redis.by_name import by_name
from duly_redis.calls import Calls
from duly_redis.claiming import Claiming
from duly_redis.keys import Shard
from duly_redis.overdue import overdue

__all__ = ["Counting"]


class Counting(ABC):
    """What the store counts without reading all that it keeps."""

    _calls: Calls
    _claiming: Claiming
    _shards: Sequence[Shard]

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        """How much is due up to each of ``bounds``, from counts that Redis keeps anyway.

        In keys of an older version the series are not known before ``migrate()``.
        """
        return await due_counts(
            self._calls, self._shards, bounds,
            most=most, look_at=look_at, all_series=self._claiming.moves,
        )  # fmt: skip

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        """What waits in the main line and is due between two moments, along the lines."""
        return await due_between(self._calls, self._shards, since, until, limit)

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        """The event names behind one, and how much there is of each."""
        return await by_name(
            self._calls, self._shards, self._now(), after=after, limit=limit, most=most
        )

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        """Of which names what is due waits in the main line, along it."""
        return await overdue(self._calls, self._shards, before, look_at)

    @abstractmethod
    def _now(self) -> int:
        """In microseconds; 0 for the time of the server."""
