"""Translates SQLite's errors into duly's; the only place that does."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from duly import StoreError, StoreUnavailable

__all__ = ["code_of", "translated"]

_PASSING: Final = {
    sqlite3.SQLITE_BUSY: "another connection holds its lock",
    sqlite3.SQLITE_CANTOPEN: "a file cannot be opened",
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "reading or writing failed",
    sqlite3.SQLITE_LOCKED: "another connection holds its lock",
    sqlite3.SQLITE_NOMEM: "memory has run out",
    sqlite3.SQLITE_PROTOCOL: "another connection holds its lock",
}
"""Errors that may be gone at the next try."""

_LASTING: Final = {
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: the file must be readable and writable, its "
    "folder must be writable",
    sqlite3.SQLITE_CORRUPT: "it is damaged: restore a backup, or save what is left with the "
    ".recover command of the sqlite3 program",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database",
    sqlite3.SQLITE_READONLY: "it cannot be written: the file and its folder must be writable",
}


def code_of(error: sqlite3.Error) -> int | None:
    """The primary result code of SQLite; None for an error of Python's own module."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


@contextlib.contextmanager
def translated(path: Path, *, opening: bool = False) -> Iterator[None]:
    """Wrap every call of SQLite in this.

    Raises:
        StoreUnavailable: for what trying again may cure.
        StoreError: for everything else that SQLite raises.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(f"SQLite file {path}: it cannot be reached ({error})") from error
    except sqlite3.Error as error:
        code = code_of(error)
        if code in _PASSING and not (opening and code == sqlite3.SQLITE_CANTOPEN):
            raise StoreUnavailable(f"SQLite file {path}: {_PASSING[code]} ({error})") from error
        reason = _LASTING.get(code, "refused") if code is not None else "refused"
        raise StoreError(f"SQLite file {path}: {reason} ({error})") from error
