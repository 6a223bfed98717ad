"""What is older than it shall be kept goes; what processes that were killed left is named."""

import os
import socket
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from duly_history.batch import DAY
from duly_history.database import Database
from duly_history.migrations import Days
from duly_history.rows import instant

__all__ = ["KILLED", "Upkeep", "is_gone"]

KILLED: Final = "the process was killed, or cut off: what it had not written yet is not known"

_EVERY: Final = timedelta(minutes=10)
_AT_ONCE: Final = 2000  # rows of a delete
_PIECES: Final = 10  # deletes in a row, before what waits is written
_SILENT: Final = 15_000_000  # microseconds after which one whose process is gone counts as killed
_LOST: Final = 60_000_000  # and any other


class Upkeep:
    """Of one database: entries and minutes are kept for ``keep``, changes for ``keep_changes``."""

    def __init__(
        self,
        database: Database,
        days: Days,
        clock: Callable[[], datetime],
        keep: timedelta,
        keep_changes: timedelta,
    ) -> None:
        self._database = database
        self._days = days
        self._clock = clock
        self._keep = keep
        self._keep_changes = keep_changes
        self._next: datetime | None = None

    def tidy(self) -> bool:
        """Remove a part of what is too old, when it is time; whether there is more to remove.

        Raises:
            HistoryError: it cannot be done now.
        """
        now = self._clock()
        if self._next is not None and self._next - _EVERY <= now < self._next:
            return False
        oldest, tables = instant(now - self._keep), self._database.tables
        self._days.drop(oldest // DAY)
        entries: sa.FromClause = tables.entries
        if self._database.is_postgres:  # where whole days are dropped, but for what has none
            columns: Iterable[Any] = (sa.column(each.name) for each in tables.entries.c)
            name = f"{tables.entries.name}_other"
            entries = sa.table(name, *columns, schema=tables.schema)
        more = [
            self._delete(entries, "at", oldest),
            self._delete(tables.minutes, "minute", oldest),
            self._delete(tables.holes, "to_at", oldest),
            self._delete(tables.changes, "at", instant(now - self._keep_changes)),
        ]
        self._next = None if any(more) else now + _EVERY
        return any(more)

    def name_the_killed(self, own: str) -> None:
        """Turn what other processes announced, and then fell silent, into holes.

        Raises:
            HistoryError: it cannot be done now.
        """
        now = instant(self._clock())
        tables = self._database.tables
        writers, holes = tables.writers, tables.holes
        with self._database.transaction() as connection:
            found = connection.execute(
                sa.select(writers.c.source, writers.c.seen_at)
                .where(writers.c.source != own, writers.c.seen_at < now - _SILENT)
                .limit(100)
            ).all()
            for source, seen_at in found:
                if not is_gone(source, seen_at, now):
                    continue
                gone = writers.delete().where(
                    writers.c.source == source, writers.c.seen_at == seen_at
                )
                if connection.execute(gone).rowcount:  # nobody else has done it
                    connection.execute(
                        holes.insert().values(
                            source=source, from_at=seen_at, to_at=now, number=None, reason=KILLED
                        )
                    )

    def _delete(self, table: Any, column: str, before: int) -> bool:
        """Whether more is left."""
        place: Any = sa.literal_column("ctid" if self._database.is_postgres else "rowid")
        some = sa.select(place).select_from(table).where(table.c[column] < before).limit(_AT_ONCE)
        statement = sa.delete(table).where(place.in_(some))
        for _ in range(_PIECES):
            with self._database.transaction() as connection:
                if connection.execute(statement).rowcount < _AT_ONCE:
                    return False
        return True


def is_gone(source: str, seen_at: int, now: int) -> bool:
    """Whether a process that was heard of then, and has not said good-bye, counts as killed."""
    host, pid, _ = source.rsplit(":", 2)
    dead = host == socket.gethostname() and not _lives(int(pid))
    return now - seen_at > (_SILENT if dead else _LOST)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
