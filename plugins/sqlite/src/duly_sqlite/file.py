"""The file: opened with the settings on which the promises of this store rest."""

import contextlib
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from duly import InvalidArgument, StoreError
from duly_sqlite.connection import PATIENCE, Call, patiently, transaction
from duly_sqlite.errors import translated
from duly_sqlite.schema import all_statements, pending, prepare

__all__ = ["absolute", "data_version", "migrate", "reader", "writer"]

_CACHE_KIB: Final = 16 * 1024
_WAL_KIB: Final = 64 * 1024


def absolute(path: str | os.PathLike[str]) -> Path:
    """The path of a file as it is now.

    Raises:
        InvalidArgument: it can be none.
    """
    try:
        text = os.fsdecode(os.fsencode(os.fspath(path)))
    except Exception as error:  # it is no path, raises, or is no text that can be a file name
        raise InvalidArgument("the path of an SQLite file is missing or unusable") from error
    if not isinstance(path, str | os.PathLike) or not text or "\0" in text:
        raise InvalidArgument(f"the path of an SQLite file is missing or unusable: {text!r}")
    if "://" in text:
        raise InvalidArgument(
            f"{text!r} is a URL and not a path: give it to the client or the scheduler itself"
        )
    if text == ":memory:":
        raise InvalidArgument("SQLite in memory is not served: use memory://")
    return Path(text).absolute()  # now: the process may change its working directory later


def writer(path: Path) -> sqlite3.Connection:
    """The connection that writes; a file that is missing is made, a schema brought up to date.

    Raises:
        StoreError: the path leads to no file that could be ours.
        sqlite3.Error: whatever else.
    """
    connection = _connect(path)
    try:
        # Transactions go to a log beside the file, so that reading and writing do not wait for
        # each other; each is on disk before it counts as done.
        patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchall(), Call())
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_KIB * 1024}")
        connection.execute("PRAGMA temp_store = MEMORY")
        transaction(connection, lambda db: prepare(db, path, marks=False), Call())
    except BaseException:
        connection.close()
        raise
    return connection


def reader(path: Path) -> sqlite3.Connection:
    """The connection that only reads, from a file that :func:`writer` has opened."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def migrate(path: Path, *, dry_run: bool) -> Sequence[str]:
    """The statements that bring the schema up to date; run, unless ``dry_run``.

    Raises:
        StoreError: what SQLite raised, translated.
    """
    if dry_run and not path.exists():
        return all_statements()
    with translated(path, opening=True), contextlib.closing(_connect(path)) as connection:
        if dry_run:
            return patiently(lambda: pending(connection.cursor(), path, marks=True), Call())
        return transaction(connection, lambda db: prepare(db, path, marks=True), Call())


def data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has written to the file."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


def _connect(path: Path) -> sqlite3.Connection:
    if path.is_dir():
        raise StoreError(f"SQLite file {path}: it is a folder; give the path of a file in it")
    if not path.parent.is_dir():
        raise StoreError(f"SQLite file {path}: its folder does not exist; make it first")
    # Without SQLite's own way to wait for locks: see patiently.
    return sqlite3.connect(path, isolation_level=None, timeout=0)
