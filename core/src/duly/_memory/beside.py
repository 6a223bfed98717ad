"""What the memory store can do beside claiming: keep notes, and tell what is to come."""

import threading
from collections.abc import Mapping, Sequence
from datetime import datetime

from duly._memory.ahead import due_between, due_counts, names, overdue
from duly._memory.ledger import Ledger
from duly._memory.notes import Notes
from duly.store import Clock, Due, DueCounts, NameStats, Note, Overdue

__all__ = ["Beside"]


class Beside:
    """The part of a store that is SupportsNotes and tells what is to come.

    For that it is SupportsForecast, SupportsDueBetween, SupportsNames and
    SupportsOverdue.
    """

    _clock: Clock
    _ledger: Ledger
    _kept: Notes
    _lock: threading.Lock

    async def read_note(self, name: str) -> Note | None:
        """The note of that name; None when there is none."""
        with self._lock:
            return self._kept.read(name, self._clock())

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write a note if it is still as it was read; its revision, None if it is not."""
        with self._lock:
            return self._kept.write(name, value, revision)

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        """All notes whose names begin with that, in order."""
        with self._lock:
            return self._kept.beginning_with(prefix, self._clock())

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        """How much is due up to each of ``bounds``; counts do not stop at ``most``."""
        with self._lock:
            return due_counts(self._ledger, bounds, look_at)

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        """What waits in the main line and is due between two moments."""
        with self._lock:
            return due_between(self._ledger, since, until, limit)

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        """The event names behind one, and how much there is of each."""
        with self._lock:
            return names(self._ledger, self._clock(), after, limit, most)

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        """Of which names what is due waits in the main line."""
        with self._lock:
            return overdue(self._ledger, before, look_at)
