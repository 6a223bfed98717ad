"""The SQLite store, beside its own statements in a bare loop."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import duly
from benchmarks.load import LEASE, chunks, due
from benchmarks.servers import Servers
from duly_sqlite import SQLiteStore, sql
from duly_sqlite.file import writer
from duly_sqlite.storing import row

__all__ = ["ground"]


class SQLite:
    """Files in a folder of the benchmark's own."""

    name = "SQLite"
    settings = f"SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL"
    shared = True

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/bench.db"

    def store(self, url: str) -> SQLiteStore:
        return SQLiteStore(url.removeprefix("sqlite:///"))

    async def bare_drain(self, count: int, batch: int) -> float:
        """One transaction a batch, rows left as they come."""
        with tempfile.TemporaryDirectory() as folder, closing(writer(Path(folder) / "db")) as db:
            _insert(db, due(count))
            start = time.perf_counter()
            _drain(db, batch)
            return count / (time.perf_counter() - start)

    async def single_drain(self, count: int) -> float | None:
        return None

    async def bare_schedule(self, count: int) -> float:
        with tempfile.TemporaryDirectory() as folder, closing(writer(Path(folder) / "db")) as db:
            return count / _insert(db, due(count))

    async def bare_single(self, count: int) -> float | None:
        """A row and its place in the line, a transaction a message."""
        with tempfile.TemporaryDirectory() as folder, closing(writer(Path(folder) / "db")) as db:
            rows = [row(message) for message in due(count)]
            start = time.perf_counter()
            for each in rows:
                db.execute("BEGIN IMMEDIATE")
                key = db.execute(sql.INSERT, each).lastrowid
                db.execute("INSERT INTO duly_due VALUES (0, ?, ?)", (each[0], key))
                db.execute("COMMIT")
            return count / (time.perf_counter() - start)

    async def served(self, seconds: float) -> float | None:
        await asyncio.sleep(seconds)
        return None

    async def at_rest(self) -> None:
        """It does nothing by itself."""

    async def size(self, url: str) -> int | None:
        return sum(
            file.stat().st_size for file in Path(url.removeprefix("sqlite:///")).parent.iterdir()
        )


def _drain(db: sqlite3.Connection, batch: int) -> None:
    token, keys, number = "", "[]", 0
    while True:
        now, number = time.time_ns() // 1000, number + 1
        db.execute("BEGIN IMMEDIATE")
        db.execute(sql.HEADS).fetchone()
        db.execute(sql.HELD, (token, now)).fetchone()
        db.execute(sql.END_LEASE, (token,))
        db.execute(sql.REMOVE_ALL, (keys,))
        db.execute(sql.ANY_LAPSED, (now,)).fetchone()
        rows = db.execute(sql.TAKE, (0, now, batch)).fetchall()
        if rows:
            db.execute(sql.LEAVE_LINE_UP_TO, (0, *rows[-1][:2]))
            token, keys = str(number), str([row[1] for row in rows])
            end = now + LEASE // timedelta(microseconds=1)
            db.execute(sql.LEASE, (token, end, "bench", keys))
        db.execute(sql.HEADS).fetchone()
        db.execute("COMMIT")
        if not rows:
            return


def _insert(db: sqlite3.Connection, messages: Sequence[duly.Message]) -> float:
    """Seconds to store records made before, 500 a transaction."""
    records = [[row(message) for message in chunk] for chunk in chunks(messages)]
    start = time.perf_counter()
    for chunk in records:
        db.execute("BEGIN IMMEDIATE")
        (last,) = db.execute(sql.LAST_KEY).fetchone()
        db.executemany(sql.INSERT, chunk)
        db.execute(sql.LINE_UP_NEW, (last,))
        db.execute("COMMIT")
    return time.perf_counter() - start


@asynccontextmanager
async def ground(servers: Servers) -> AsyncIterator[SQLite]:
    yield SQLite()
