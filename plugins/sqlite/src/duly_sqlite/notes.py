"""What is kept beside the messages, for all who share the file."""

import secrets
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from duly.moment import from_microseconds
from duly.store import Note

__all__ = ["Notes"]

T = TypeVar("T")

_BYTES: Final = 12  # of a revision, at random

_LAST: Final = "\U0010ffff" * 256
"""Behind a prefix it makes a text that comes after all names that begin so; they are shorter."""

_READ: Final = "SELECT value, revision FROM duly_notes WHERE name = ?"

_LIST: Final = """\
SELECT name, value, revision FROM duly_notes WHERE name >= ? AND name < ? ORDER BY name"""

_ANY: Final = "SELECT 1 FROM duly_notes WHERE name = ?"

_MAKE: Final = """\
INSERT INTO duly_notes (name, revision, value) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"""

_WRITE: Final = "UPDATE duly_notes SET revision = ?, value = ? WHERE name = ? AND revision = ?"

_DELETE: Final = "DELETE FROM duly_notes WHERE name = ? AND revision = ?"


class Notes(ABC):
    """The verbs for notes. :class:`duly.store.SupportsNotes` tells what each does."""

    async def read_note(self, name: str) -> Note | None:
        """The note of that name; None when there is none."""

        def read(db: sqlite3.Cursor) -> Note | None:
            found = db.execute(_READ, (name,)).fetchone()
            if found is None:
                return None
            value, revision = found
            return Note(value, revision, from_microseconds(self._now()))

        return await self._look(read)

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> str | None:
        """Write a note if it is still as it was read; its revision, None if it is not."""
        new = secrets.token_urlsafe(_BYTES)

        def write(db: sqlite3.Cursor) -> str | None:
            return new if _write(db, name, value, revision, new) else None

        return await self._act(write, None)

    async def notes(self, prefix: str) -> Mapping[str, Note]:
        """All notes whose names begin with that, in order."""

        def read(db: sqlite3.Cursor) -> Mapping[str, Note]:
            found = db.execute(_LIST, (prefix, prefix + _LAST)).fetchall()
            now = from_microseconds(self._now())
            return {name: Note(value, revision, now) for name, value, revision in found}

        return await self._look(read)

    @abstractmethod
    def _now(self) -> int: ...

    @abstractmethod
    async def _act(self, work: Callable[[sqlite3.Cursor], T], within: object) -> T: ...

    @abstractmethod
    async def _look(self, work: Callable[[sqlite3.Cursor], T], within: object = None) -> T: ...


def _write(
    db: sqlite3.Cursor, name: str, value: bytes | None, revision: str | None, new: str
) -> bool:
    """Whether it was as ``revision`` says, and is written or deleted now."""
    if value is None and revision is None:
        return db.execute(_ANY, (name,)).fetchone() is None
    change: tuple[str, tuple[Any, ...]]
    if revision is None:
        change = _MAKE, (name, new, value)
    elif value is None:
        change = _DELETE, (name, revision)
    else:
        change = _WRITE, (new, value, name, revision)
    return db.execute(*change).rowcount == 1
