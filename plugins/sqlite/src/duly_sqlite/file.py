"""The file: opened with the settings on which the promises of this store rest."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from duly import StoreError
from duly_sqlite.connection import PATIENCE, Call, patiently, transaction
from duly_sqlite.schema import all_statements, pending, prepare

__all__ = ["data_version", "migrate", "reader", "writer"]

_CACHE_KIB: Final = 16 * 1024
_WAL_KIB: Final = 64 * 1024


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
        transaction(connection, lambda db: prepare(db, path), Call())
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
    """The statements that bring the schema up to date; run, unless ``dry_run``."""
    if dry_run and not path.exists():
        return all_statements()
    connection = _connect(path)
    try:
        if dry_run:
            return patiently(lambda: pending(connection.cursor(), path), Call())
        return transaction(connection, lambda db: prepare(db, path), Call())
    finally:
        connection.close()


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
