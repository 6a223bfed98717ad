"""The verbs of the store that count what is to come, and by event name."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from duly.store import Due, DueCounts, NameStats, Overdue
from duly_mongo.ahead import due_between, due_counts
from duly_mongo.by_name import by_name
from duly_mongo.errors import translated
from duly_mongo.overdue import overdue

__all__ = ["Counting"]


class Counting(ABC):
    """What the store counts without reading all that it keeps."""

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        """How much is due up to each of ``bounds``, by indexes."""
        with translated():
            return await due_counts(await self._opened.usable.space(), bounds, most, look_at)

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        """What waits in the main line and is due between two moments, by an index."""
        with translated():
            return await due_between(await self._opened.usable.space(), since, until, limit)

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        """The event names behind one, and how much there is of each, by the index on them."""
        with translated():
            return await by_name(await self._opened.usable.space(), after, limit, most)

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        """Of which names what is due waits in the main line, by the index on that."""
        with translated():
            return await overdue(await self._opened.usable.space(), before, look_at)

    @property
    @abstractmethod
    def _opened(self) -> Any:
        """What an open store has."""
