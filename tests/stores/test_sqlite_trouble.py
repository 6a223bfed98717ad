"""The SQLite store in trouble: what passes, and who has gone."""

import asyncio
import contextlib
import resource
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import duly_sqlite.connection
from duly import Filter, Message, StoreUnavailable
from duly.store import Group, Settle
from duly_sqlite import SQLiteStore

START = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Gate:
    """A clock at which whoever asks for the time in a thread of that name has to wait."""

    def __init__(self) -> None:
        self.closed_for = ""
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> datetime:
        if self.closed_for and threading.current_thread().name.startswith(self.closed_for):
            self.wait()
        return START

    def wait(self) -> None:
        self.reached.set()
        assert self.open.wait(10)


def group(*ids: str, payload: bytes = b"") -> Group:
    return Group([Message("event", payload, id=id, scheduled_at=START) for id in ids])


async def ids(store: SQLiteStore) -> list[str]:
    return [message.id for message in await store.list(Filter())]


async def on_connection(store: SQLiteStore, work: Callable[[sqlite3.Connection], Any]) -> None:
    """Do something to the connection that writes, of which the store lets nobody else have any."""
    thread = store._writer._thread  # as above
    await thread.run(lambda connection, _: work(connection))


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of those who write."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
def clock() -> Gate:
    return Gate()


@pytest.fixture
async def store(path: Path, clock: Gate) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, clock=clock)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duly_sqlite.connection, "PATIENCE", 0.05)


class TestPassing:
    """It is StoreUnavailable, nothing is done by halves, and when it is over all goes on."""

    @pytest.mark.usefixtures("impatient")
    async def test_locked(self, store: SQLiteStore, path: Path) -> None:
        await store.put([group("a")])
        token = (await store.claim(limit=1, lease=MINUTE, owner="me")).token or ""
        with locked(path):
            for call in (
                store.put([group("b")]),
                store.cancel(["a"]),
                store.claim(limit=1, lease=MINUTE, owner="me", settle=[Settle(token)]),
                store.settle([Settle(token)]),
                store.renew([token], MINUTE),
            ):
                with pytest.raises(StoreUnavailable, match="lock"):
                    await call
            assert await ids(store) == ["a"]
            assert not (await store.claim(limit=1, lease=MINUTE, owner="me")).claims
        assert await store.settle([Settle(token)]) == [True]
        assert await store.put([group("b")]) == [None]

    async def test_a_lock_is_waited_for(self, store: SQLiteStore, path: Path) -> None:
        with locked(path):
            put = asyncio.create_task(store.put([group("a")]))
            await asyncio.wait([put], timeout=0.05)
            assert not put.done()
        assert await put == [None]

    async def test_full_disk(self, store: SQLiteStore) -> None:
        await store.put([group("a")])
        await on_connection(store, lambda db: db.execute("PRAGMA max_page_count = 1").fetchall())
        large = group("c", payload=bytes(1024 * 1024))
        with pytest.raises(StoreUnavailable, match="full"):
            await store.put([group("b"), large])
        assert await ids(store) == ["a"]
        batch = await store.claim(limit=9, lease=MINUTE, owner="me")
        assert len(batch.claims) == 1
        await on_connection(store, lambda db: db.execute("PRAGMA max_page_count = 9999").fetchall())
        assert await store.put([group("b"), large]) == [None, None]

    async def test_a_limit_to_the_size_of_files(self, store: SQLiteStore) -> None:
        await store.put([group("a")])
        large = group("b", payload=bytes(1024 * 1024))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512 * 1024, before[1]))
        try:
            with pytest.raises(StoreUnavailable):
                await store.put([large])
            assert await ids(store) == ["a"]
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert await store.put([large]) == [None]
        assert await ids(store) == ["a", "b"]


class TestGone:
    """The caller is cancelled: no transaction stays open, and nothing stays in nobody's hands."""

    async def _cancel(self, task: asyncio.Task[Any], clock: Gate) -> None:
        """Cancel a task whose thread waits at the gate, then open that."""
        await asyncio.to_thread(clock.reached.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        clock.open.set()

    async def test_before_its_turn(self, store: SQLiteStore, clock: Gate) -> None:
        clock.closed_for = "duly-sqlite-writer"
        first = asyncio.create_task(store.renew([], MINUTE))
        await asyncio.sleep(0)
        put = asyncio.create_task(store.put([group("a")]))
        await asyncio.sleep(0)
        await self._cancel(put, clock)
        await first
        assert await ids(store) == []

    async def test_while_it_waits_for_a_lock(self, store: SQLiteStore, path: Path) -> None:
        with locked(path):
            put = asyncio.create_task(store.put([group("a")]))
            await asyncio.wait([put], timeout=0.05)
            put.cancel()
            with pytest.raises(asyncio.CancelledError):
                await put
            # The thread gives up as well: what only reads is answered while the lock is held.
            assert await store.changed() is False
        assert await ids(store) == []

    async def test_within_a_transaction(self, store: SQLiteStore, path: Path, clock: Gate) -> None:
        await store.put([group("a", "b")])
        token = (await store.claim(limit=1, lease=MINUTE, owner="me")).token or ""
        clock.closed_for = "duly-sqlite-writer"
        await self._cancel(asyncio.create_task(store.settle([Settle(token)])), clock)
        with locked(path):
            assert await ids(store) == ["a", "b"]
        assert await store.settle([Settle(token)]) == [True]
        assert await ids(store) == ["b"]

    async def test_at_the_commit_of_a_claim(self, store: SQLiteStore, clock: Gate) -> None:
        await store.put([group("a", "b")])

        def stop_at_commit(statement: str) -> None:
            if statement == "COMMIT" and not clock.open.is_set():
                clock.wait()

        await on_connection(store, lambda db: db.set_trace_callback(stop_at_commit))
        claim = asyncio.create_task(store.claim(limit=2, lease=MINUTE, owner="me"))
        await self._cancel(claim, clock)
        batch = await store.claim(limit=2, lease=MINUTE, owner="me")
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 0), ("b", 0)]


class TestSideBySide:
    async def test_reading_holds_up_no_claim(self, store: SQLiteStore, clock: Gate) -> None:
        await store.put([group("a")])
        clock.closed_for = "duly-sqlite-reader"
        stats = asyncio.create_task(store.stats())
        await asyncio.to_thread(clock.reached.wait, 10)
        assert (await store.claim(limit=1, lease=MINUTE, owner="me")).claims
        assert not stats.done()
        clock.open.set()
        assert (await stats).claimed == 1

    async def test_what_can_be_made_no_newer_fails_no_neighbour(self, store: SQLiteStore) -> None:
        last = datetime.max.replace(tzinfo=UTC)
        message = Message("event", id="a", scheduled_at=START, created_at=last)
        await store.put([Group([message])])
        for created_at in (last, START):
            newer = Message("event", id="a", scheduled_at=START, created_at=created_at)
            groups = [group("b"), Group([newer], replace=True), group("c")]
            assert (await store.put(groups))[1] is None
            assert await store.get("a") == newer
        assert await ids(store) == ["a", "b", "c"]
