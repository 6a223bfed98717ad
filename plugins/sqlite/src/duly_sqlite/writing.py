"""The writer of a store: transactions in turn, and a bell for those who wait for messages."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from duly_sqlite.connection import Call, ConnectionThread, patiently, transaction
from duly_sqlite.doubts import doubts
from duly_sqlite.file import data_version, writer
from duly_sqlite.identity import Files
from duly_sqlite.line import heads
from duly_sqlite.turns import turns_on
from duly_sqlite.wakeups import Wakeups

__all__ = ["Writer"]

T = TypeVar("T")
Heads = tuple[int | None, int | None]


class Writer:
    """The connection of a store that writes, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ConnectionThread(path, "duly-sqlite-writer", self._connect)
        place = os.path.realpath(path)
        self._wakeups = Wakeups(place)
        self._turns = turns_on(place)
        self._data_version = 0
        self.files = Files(path)

    async def open(self) -> None:
        """Open the file; a second time does nothing."""
        await self._thread.open()
        self._wakeups.connect()

    async def close(self) -> None:
        """Finish the calls so far and close the file; a second time does nothing."""
        self._wakeups.disconnect()
        await self._thread.close()

    async def write(
        self,
        work: Callable[[sqlite3.Cursor], T],
        *,
        glance: Callable[[sqlite3.Cursor], T | None] | None = None,
        undo: Callable[[sqlite3.Cursor, T], object] | None = None,
        wakes: Callable[[T], object] | None = None,
    ) -> T:
        """The result of ``work``, as one transaction.

        ``glance`` may find the answer without a lock. ``undo`` is called with a result that nobody
        waits for any more. ``wakes`` says of a result whether those who wait are to be woken though
        nothing in line is earlier.
        """

        def run(connection: sqlite3.Connection, call: Call) -> T:
            if glance is not None:
                seen = patiently(lambda: glance(connection.cursor()), call)
                if seen is not None:
                    return seen
            outcome = self._transact(connection, work, call)
            if wakes is not None and wakes(outcome):
                self._wakeups.ring()
            if undo is not None:

                def regret(connection: sqlite3.Connection) -> None:
                    self._transact(connection, lambda db: undo(db, outcome), Call())

                call.regret = regret
                if call.abandoned:
                    regret(connection)
            return outcome

        def explained(connection: sqlite3.Connection, call: Call) -> T:
            try:
                return run(connection, call)
            except sqlite3.Error:
                self.files.see(connection)  # its error says more than SQLite's
                raise

        return await self._thread.run(explained)

    async def wait_for_change(self) -> None:
        """Return when a store of this process on this file put something in an earlier place."""
        await self._wakeups.wait()

    async def changed(self) -> bool:
        """Whether another connection wrote to the file since the last call."""

        def look(connection: sqlite3.Connection, call: Call) -> bool:
            before = self._data_version
            self._data_version = patiently(lambda: data_version(connection), call)
            return self._data_version != before

        return await self._thread.run(look)

    async def doubts(self) -> Sequence[str]:
        """What is unsafe about the file, one sentence each."""

        def look(connection: sqlite3.Connection, _: Call) -> Sequence[str]:
            missing = self.files.missing(connection)
            return [*doubts(connection, self._path), *([] if missing is None else [missing])]

        return await self._thread.run(look)

    def _connect(self) -> sqlite3.Connection:
        connection = writer(self._path)
        self._data_version = data_version(connection)
        self.files.note()
        return connection

    def _transact(
        self, connection: sqlite3.Connection, work: Callable[[sqlite3.Cursor], T], call: Call
    ) -> T:
        def watched(db: sqlite3.Cursor) -> tuple[T, bool]:
            self.files.see(connection)
            before = heads(db)
            outcome = work(db)
            return outcome, _earlier(heads(db), before)

        with self._turns.taken(call):
            outcome, earlier = transaction(connection, watched, call)
        # A sleeping scheduler has looked since the line last got an earlier head, and sleeps only
        # until the head that it saw is due: so only an earlier head needs a wake-up.
        if earlier:
            self._wakeups.ring()
        return outcome


def _earlier(now: Heads, before: Heads) -> bool:
    return any(
        head is not None and (old is None or head < old)
        for head, old in zip(now, before, strict=True)
    )
