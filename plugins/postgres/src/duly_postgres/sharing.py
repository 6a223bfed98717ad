"""What schedulers and clients share beside the messages: notes, and leases that are taken over."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from duly.moment import from_microseconds
from duly.store import Note
from duly_postgres.claiming import Mark
from duly_postgres.connection import Connection, Executor
from duly_postgres.desk import Desk
from duly_postgres.sql_sharing import (
    ANY_NOTE,
    DELETE_NOTE,
    LAPSE,
    LIST_NOTES,
    MAKE_NOTE,
    READ_NOTE,
    WRITE_NOTE,
)

__all__ = ["Sharing"]

_BYTES: Final = 12  # of a revision, at random

_LAST: Final = "\U0010ffff" * 256
"""Behind a prefix it makes a text that comes after all names that begin so; they are shorter."""


class Sharing(ABC):
    """The verbs of :class:`duly.store.SupportsNotes` and :class:`duly.store.SupportsTakeover`."""

    _desk: Desk
    _mark: Mark

    @abstractmethod
    def _now(self) -> datetime | None: ...

    async def read_note(self, name: str) -> Note | None:
        """The note of that name; None when there is none."""

        async def read(db: Executor) -> Note | None:
            rows = await _found(db, self._desk.names(READ_NOTE), self._now(), name)
            return _note(rows[0]) if rows else None

        return await self._desk.look(read, None)

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write a note if it is still as it was read; its revision, None if it is not."""
        names, new = self._desk.names, secrets.token_urlsafe(_BYTES)

        async def write(db: Executor) -> tuple[bool, bool]:
            if value is None and revision is None:
                return not await db.fetch(names(ANY_NOTE), name), False
            if value is None:
                rows = await db.fetch(names(DELETE_NOTE), name, revision)
            elif revision is None:
                rows = await db.fetch(names(MAKE_NOTE), name, value, new)
            else:
                rows = await db.fetch(names(WRITE_NOTE), name, value, new, revision)
            return bool(rows), False

        return new if await self._desk.change(write) else None

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        """All notes whose names begin with that, in order."""

        async def read(db: Executor) -> Mapping[str, Note]:
            statement = self._desk.names(LIST_NOTES)
            rows = await _found(db, statement, self._now(), prefix, prefix + _LAST)
            return {row["name"]: _note(row) for row in rows}

        return await self._desk.look(read, None)

    async def lapse(self, owner: str) -> int:
        """End all leases of that owner; how many messages they held."""

        async def end(db: Connection) -> int:
            async def work() -> int:
                ((number,),) = await db.fetch(self._desk.names(LAPSE), self._now(), owner)
                return int(number)

            return await db.unless_locked(work, work)  # the first try does not wait for a settle

        held = await self._desk.schedulers.run(end)
        if held:
            self._mark.forget()
            self._desk.notifier.tell()
        return held


async def _found(db: Executor, statement: str, *values: Any) -> Sequence[Any]:
    """The notes that a statement finds: none where there is no table of them yet.

    Nobody can have written any then, and schedulers, which read notes, have to go on.
    """
    try:
        return await db.fetch(statement, *values)
    except asyncpg.UndefinedTableError:
        return []


def _note(row: Any) -> Note:
    return Note(row["value"], row["revision"], from_microseconds(row["now"]))
