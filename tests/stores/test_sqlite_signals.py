"""What the SQLite store tells by itself: that something came in, and what is less than safe."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from duly import Message, StoreError
from duly.store import Group, Settle
from duly_sqlite import SQLiteStore, identity

START = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def group(*ids: str) -> Group:
    return Group([Message("event", id=id, scheduled_at=START) for id in ids])


async def on_connection(store: SQLiteStore, work: Callable[[sqlite3.Connection], Any]) -> None:
    """Do something to the connection that writes, of which the store lets nobody else have any."""
    thread = store._writer._thread  # as above
    await thread.run(lambda connection, _: work(connection))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, clock=lambda: START)
    await store.open()
    yield store
    await store.close()


class TestWakeups:
    async def test_a_store_on_another_thread_wakes(self, store: SQLiteStore, path: Path) -> None:
        async def put() -> None:
            other = SQLiteStore(path.parent / "." / path.name)
            await other.open()
            await other.put([group("a")])
            await other.close()

        waiting = asyncio.create_task(store.wait_for_change())
        await asyncio.to_thread(asyncio.run, put())
        async with asyncio.timeout(10):
            await waiting

    async def test_what_is_due_later_wakes_nobody(self, store: SQLiteStore) -> None:
        await store.put([group("a")])
        await asyncio.wait_for(store.wait_for_change(), 10)
        later = Message("event", id="b", scheduled_at=START + MINUTE)
        await store.put([Group([later])])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store.wait_for_change(), 0.05)

    async def test_one_store_of_two_tasks(self, store: SQLiteStore) -> None:
        waiting = [asyncio.create_task(store.wait_for_change()) for _ in range(2)]
        await asyncio.sleep(0)
        await store.put([group("a")])
        async with asyncio.timeout(10):
            await asyncio.gather(*waiting)

    async def test_looking_in_vain_changes_nothing(self, store: SQLiteStore, path: Path) -> None:
        other = SQLiteStore(path, clock=lambda: START)
        await other.open()
        await store.put([Group([Message("event", scheduled_at=START + MINUTE)])])
        assert await other.changed()
        await store.claim(limit=1, lease=MINUTE, owner="me")
        await store.settle([])
        assert not await other.changed()
        await other.close()


class TestDoubts:
    async def test_none(self, store: SQLiteStore) -> None:
        assert list(await store.check()) == []

    async def test_not_synchronous(self, store: SQLiteStore) -> None:
        await on_connection(store, lambda db: db.execute("PRAGMA synchronous = NORMAL"))
        (told,) = await store.check()
        assert "synchronous" in told

    @pytest.mark.parametrize("how", ["removed", "replaced"])
    @pytest.mark.parametrize("end", ["", "-wal", "-shm"])
    async def test_a_file_is_gone(
        self,
        store: SQLiteStore,
        path: Path,
        monkeypatch: pytest.MonkeyPatch,
        end: str,
        how: str,
    ) -> None:
        """It is told, and nothing is written that nobody would find."""
        if end != "-wal":  # which is asked for each time anyway
            monkeypatch.setattr(identity, "_EVERY", 0.0)
        await store.put([group("a", "b")])
        batch = await store.claim(limit=1, lease=MINUTE, owner="me")
        assert batch.token is not None
        file, aside = Path(f"{path}{end}"), path.parent / "aside"
        file.rename(aside)  # noqa: ASYNC240  # nothing else runs
        if how == "replaced":
            file.write_bytes(aside.read_bytes())  # noqa: ASYNC240  # as above
        (told,) = await store.check()
        assert f"{path}{end} was removed or replaced" in told
        with contextlib.closing(sqlite3.connect(path if end else aside)) as connection:
            connection.row_factory = lambda _, row: {"row": row}
            connection.text_factory = bytes
            for write in (
                store.put([group("c")]),
                store.put([group("c")], within=connection),
                store.cancel(["a"]),
                store.claim(limit=1, lease=MINUTE, owner="me"),
                store.settle([Settle(batch.token)]),
                store.renew([batch.token], MINUTE),
            ):
                with pytest.raises(StoreError, match=r"removed or replaced|not to"):
                    await write
        assert (await store.get("a")) is not None
        aside.rename(file)  # as above
        assert list(await store.check()) == []
        assert await store.put([group("c")]) == [None]

    async def test_by_way_of_a_link(self, path: Path) -> None:
        link = path.parent / "link.db"
        link.symlink_to(path)  # nothing else runs
        store = SQLiteStore(link)
        await store.open()
        assert list(await store.check()) == []
        Path(f"{path}-wal").unlink()  # noqa: ASYNC240  # as above
        (told,) = await store.check()
        assert "orders.db-wal was removed" in told
        await store.close()

    async def test_others_come_and_go(self, store: SQLiteStore, path: Path) -> None:
        """Who closes the file, copies it or empties its log replaces nothing."""
        for number in range(3):
            other = SQLiteStore(path)
            await other.open()
            await other.put([group(f"x{number}")])
            await other.close()
            with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.execute("VACUUM")
            assert await store.put([group(f"y{number}")]) == [None]
        assert list(await store.check()) == []

    async def test_without_a_log(self, store: SQLiteStore) -> None:
        # As where files cannot be shared memory: SQLite then keeps another kind of journal.
        await store._reader.close()  # the kind changes for a lone connection only
        await on_connection(store, lambda db: db.execute("PRAGMA journal_mode = DELETE").fetchall())
        (told,) = await store.check()
        assert "journal mode delete" in told
        assert await store.put([group("a")]) == [None]
        assert (await store.claim(limit=1, lease=MINUTE, owner="me")).claims
