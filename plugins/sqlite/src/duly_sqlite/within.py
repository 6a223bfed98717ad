"""The caller's own transaction: a connection of the :mod:`sqlite3` module to the same file."""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from duly import InvalidArgument
from duly_sqlite.errors import translated

__all__ = ["TRANSACTIONS", "cursor", "savepoint"]

TRANSACTIONS: Final = (
    "a connection of the sqlite3 module; that of a Session of SQLAlchemy is "
    "session.connection().connection.driver_connection, an AsyncSession has none"
)
"""What ``within`` may be, for the error if it is something else."""


@contextlib.contextmanager
def cursor(within: object, path: Path) -> Iterator[sqlite3.Cursor]:
    """A cursor of the caller's connection, to read in its transaction; none is begun.

    Raises:
        InvalidArgument: not a connection, a closed one, of another thread or to another file.
        StoreUnavailable: another connection holds the lock.
    """
    if not isinstance(within, sqlite3.Connection):
        raise InvalidArgument(
            f"within must be a sqlite3.Connection to {path}, not {type(within).__name__}"
        )
    with translated(path):
        try:
            db = sqlite3.Cursor(within)  # not by within.cursor(): no row factory of the caller's
            _check_file(db, path)
        except sqlite3.ProgrammingError as error:
            raise InvalidArgument(f"within cannot be used here: {error}") from error
        yield db


@contextlib.contextmanager
def savepoint(within: object, path: Path) -> Iterator[sqlite3.Cursor]:
    """A cursor to write with, in a transaction that is begun if there is none.

    Nothing is committed; what is done in the block is undone when it raises. It raises what
    :func:`cursor` does.
    """
    with cursor(within, path) as db:
        open_before = db.connection.in_transaction
        if not open_before:
            db.execute("BEGIN IMMEDIATE")
        db.execute("SAVEPOINT duly")
        try:
            yield db
        except BaseException:
            _undo(db, all_of_it=not open_before)
            raise
        db.execute("RELEASE duly")


def _check_file(db: sqlite3.Cursor, path: Path) -> None:
    # Read as bytes, so that a text factory of the caller's is not used.
    (file,) = db.execute(
        "SELECT CAST(file AS BLOB) FROM pragma_database_list WHERE name = 'main'"
    ).fetchone()
    with contextlib.suppress(OSError):
        if file and path.samefile(os.fsdecode(file)):
            return
    raise InvalidArgument(
        f"within is a connection to {os.fsdecode(file or b':memory:')}, not to {path}"
    )


def _undo(db: sqlite3.Cursor, *, all_of_it: bool) -> None:
    if not db.connection.in_transaction:  # some errors end it by themselves
        return
    with contextlib.suppress(sqlite3.Error):
        if all_of_it:
            db.execute("ROLLBACK")
        else:
            db.execute("ROLLBACK TO duly")
            db.execute("RELEASE duly")
