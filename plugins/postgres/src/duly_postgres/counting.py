"""The verbs of the store that count what is to come, and by event name."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime

from duly.store import Due, DueCounts, NameStats, Overdue
from duly_postgres.ahead import due_between, due_counts
from duly_postgres.by_name import by_name
from duly_postgres.desk import Desk
from duly_postgres.overdue import overdue

__all__ = ["Counting"]


class Counting(ABC):
    """What the store counts without reading all that it keeps."""

    _desk: Desk

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        """How much is due up to each of ``bounds``, from the narrow tables."""
        names = self._desk.names
        return await self._desk.look(lambda db: due_counts(db, names, bounds, most, look_at), None)

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        """What waits in the main line and is due between two moments, along the line."""
        names = self._desk.names
        return await self._desk.look(lambda db: due_between(db, names, since, until, limit), None)

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        """The event names behind one, and how much there is of each, by the index on them."""
        names, now = self._desk.names, self._now()
        return await self._desk.look(
            lambda db: by_name(db, names, now, after=after, limit=limit, most=most), None
        )

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        """Of which names what is due waits in the main line, along the narrow table."""
        names = self._desk.names
        return await self._desk.look(lambda db: overdue(db, names, before, look_at), None)

    @abstractmethod
    def _now(self) -> datetime | None:
        """The time of the clock given; None: the server's."""
