"""Everything that is written to the database of a history; used by one thread."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from duly_history.batch import Batch
from duly_history.database import Database
from duly_history.migrations import Days, make_ready
from duly_history.rows import instant
from duly_history.statements import Statements

__all__ = ["Ledger"]


class Ledger:
    """Writes as ``source``, a name of this process alone; without ``messages`` figures alone.

    Raises, each of its methods:
        HistoryUnavailable: the database cannot be reached.
        HistoryError: it refuses.
    """

    def __init__(
        self,
        database: Database,
        source: str,
        clock: Callable[[], datetime],
        *,
        messages: bool = True,
    ) -> None:
        self.source = source
        self.days = Days(database)
        self._database = database
        self._clock = clock
        statements = Statements(database.tables, postgres=database.is_postgres)
        self._written = [statements.entries] if messages else []
        self._written.append(statements.minutes)
        self._messages = messages
        self._ready = False

    def prepare(self) -> None:
        """Make the tables where they are missing; the first time, and after :meth:`doubt`."""
        if not self._ready:
            make_ready(self._database)
            self._ready = True

    def doubt(self) -> None:
        """Something was refused: look at the tables again."""
        self._ready = False

    def beat(self) -> None:
        """Say that this process lives, so that it would be missed."""
        with self._database.transaction() as connection:
            self._seen(connection, None)

    def leave(self) -> None:
        """All is written: nobody need miss it."""
        writers = self._database.tables.writers
        with self._database.transaction() as connection:
            connection.execute(writers.delete().where(writers.c.source == self.source))

    def rest(self) -> None:
        """Close what connections nobody uses; the next call opens others."""
        self._database.engine.dispose()

    def write(self, batch: Batch) -> None:
        """Write a batch, once, however often this is called with it."""
        if self._messages:
            self.days.make(batch.days)
        with self._database.transaction() as connection:
            if not self._seen(connection, batch.sequence):
                return
            if batch.document is not None:
                for statement in self._written:
                    connection.execute(statement, {"document": batch.document})
            for since, until, number, reason in batch.holes:
                self._hole(connection, since, until, number, reason)

    def give_up(self, batch: Batch, reason: str) -> None:
        """Keep in place of a batch that cannot be written that it is missing."""
        if batch.first is None or batch.last is None:
            return
        with self._database.transaction() as connection:
            if self._seen(connection, batch.sequence):
                first, last = instant(batch.first), instant(batch.last)
                self._hole(connection, first, last, batch.number, reason)

    def begin(self, row: Mapping[str, Any]) -> None:
        """Keep that a change is about to be made."""
        with self._database.transaction() as connection:
            connection.execute(self._database.tables.changes.insert().values(**row))

    def end(self, id: str, values: Mapping[str, Any]) -> None:
        """Keep how it ended."""
        changes = self._database.tables.changes
        with self._database.transaction() as connection:
            connection.execute(changes.update().where(changes.c.id == id).values(**values))

    def _seen(self, connection: sa.Connection, sequence: int | None) -> bool:
        """Note that this process lives, and how far it is; False if it was that far already."""
        writers, now = self._database.tables.writers, instant(self._clock())
        ours = writers.c.source == self.source
        values = {"seen_at": now} | ({} if sequence is None else {"sequence": sequence})
        newer = ours if sequence is None else sa.and_(ours, writers.c.sequence < sequence)
        if connection.execute(writers.update().where(newer).values(**values)).rowcount:
            return True
        if connection.execute(sa.select(writers.c.source).where(ours)).first() is not None:
            return False
        row = {"source": self.source, "seen_at": now, "sequence": sequence or 0}
        connection.execute(writers.insert().values(**row))
        return True

    def _hole(
        self, connection: sa.Connection, since: int, until: int, number: int | None, reason: str
    ) -> None:
        holes = self._database.tables.holes
        same = sa.and_(holes.c.source == self.source, holes.c.from_at == since)
        more = {"to_at": until, "number": holes.c.number + number}
        if not connection.execute(holes.update().where(same).values(**more)).rowcount:
            row = {"source": self.source, "from_at": since, "to_at": until, "number": number}
            connection.execute(holes.insert().values(**row, reason=reason))
