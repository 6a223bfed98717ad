"""The verbs of the store that count what is to come, and by event name."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from duly.store import Due, DueCounts, NameStats, Overdue
from duly_sqlite import ahead, by_name, overdue

__all__ = ["Counting"]

T = TypeVar("T")


class Counting(ABC):
    """What the store counts without reading all that it keeps."""

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        """How much is due up to each of ``bounds``, from the narrow tables."""
        return await self._look(lambda db: ahead.due_counts(db, bounds, most, look_at))

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        """What waits in the main line and is due between two moments, along the line."""
        return await self._look(lambda db: ahead.due_between(db, since, until, limit))

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        """The event names behind one, and how much there is of each, by the index on them."""
        return await self._look(lambda db: by_name.names(db, self._now(), after, limit, most))

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        """Of which names what is due waits in the main line, along the narrow table."""
        return await self._look(lambda db: overdue.overdue(db, before, look_at))

    @abstractmethod
    async def _look(self, work: Callable[[sqlite3.Cursor], T], within: object = None) -> T:
        """What a reader finds."""

    @abstractmethod
    def _now(self) -> int:
        """The present moment, in microseconds."""
