"""One SQLite store opened by several: whoever fails or goes leaves it to the others."""

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import duly_sqlite.connection
import duly_sqlite.file
from duly import Filter, Message, StoreError, StoreUnavailable
from duly.store import Group
from duly_sqlite import SQLiteStore

GROUP = Group([Message("event", id="a", scheduled_at=datetime(2030, 1, 1, tzinfo=UTC))])


@pytest.fixture
async def store(tmp_path: Path) -> SQLiteStore:
    store = SQLiteStore(tmp_path / "orders.db")
    await store.open()
    await store.close()
    return store


@contextlib.contextmanager
def locked(tmp_path: Path) -> Iterator[None]:
    file = tmp_path / "orders.db"
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("duly-sqlite")]


async def test_the_first_goes(store: SQLiteStore, tmp_path: Path) -> None:
    with locked(tmp_path):
        first, second = (asyncio.create_task(store.open()) for _ in range(2))
        await asyncio.wait([first, second], timeout=0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    await second
    assert await store.put([GROUP]) == [None]
    assert len(await store.list(Filter())) == 1
    await store.close()
    assert threads() == []


async def test_the_only_one_goes_and_comes_back(store: SQLiteStore, tmp_path: Path) -> None:
    with locked(tmp_path):
        first = asyncio.create_task(store.open())
        await asyncio.wait([first], timeout=0.05)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
    await store.open()
    assert await store.put([GROUP]) == [None]
    await store.close()
    assert threads() == []


async def test_the_first_fails(
    store: SQLiteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duly_sqlite.connection, "PATIENCE", 0.3)
    with locked(tmp_path):
        first, second = (asyncio.create_task(store.open()) for _ in range(2))
        with pytest.raises(StoreUnavailable, match="lock"):
            await first
    await second
    assert await store.put([GROUP]) == [None]
    await store.close()
    assert threads() == []


async def test_only_the_reader_fails(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("out of file handles")

    with monkeypatch.context() as patched:
        patched.setattr(duly_sqlite.file, "reader", fail)
        with pytest.raises(StoreError, match="out of file handles"):
            await store.open()
    assert threads() == []
    with pytest.raises(StoreError, match="not open"):
        await store.put([GROUP])
    await store.open()
    assert await store.put([GROUP]) == [None]
    await store.close()
