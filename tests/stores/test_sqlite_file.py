"""The file of the SQLite store: what opens, what is refused, what is trouble that passes."""

import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import duly
import duly_sqlite.connection
from duly import (
    Client,
    Envelope,
    Every,
    Filter,
    InvalidArgument,
    Message,
    Scheduler,
    StoreError,
    StoreUnavailable,
)
from duly.record import Record, to_record
from duly.store import Bury, Counters, Group, Reschedule, Settle
from duly_sqlite import SQLiteStore, sql_lines
from duly_sqlite.plugin import store_from_url
from duly_sqlite.schema import STEPS

START = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def group(*ids: str, payload: bytes = b"") -> Group:
    return Group([Message("event", payload, id=id, scheduled_at=START) for id in ids])


async def ids(store: SQLiteStore) -> list[str]:
    return [message.id for message in await store.list(Filter())]


_LATER = {1: ("given_at",), 2: ("postpone_count", "put_back", "died_at", "error_class")}
"""What each version of the schema has not yet."""


def made_by_old(path: Path, *ids: str, version: int = 1) -> None:
    """Messages as a duly of an older schema version stores them, which makes the file if need be.

    They are due at ``START``.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        if not connection.execute("SELECT 1 FROM sqlite_master").fetchall():
            for step in STEPS[:version]:
                for statement in step:
                    connection.execute(statement)
        later = [name for since, names in _LATER.items() if since >= version for name in names]
        names = [name for name in Record._fields if name not in later]
        for id in ids:
            record = to_record(Message("event", id=id, scheduled_at=START))
            key = connection.execute(
                f"INSERT INTO duly_messages (due_at, {', '.join(names)}) "
                f"VALUES ({', '.join('?' * (1 + len(names)))})",
                [record.next_attempt_at, *(getattr(record, name) for name in names)],
            ).lastrowid
            connection.execute(
                "INSERT INTO duly_due VALUES (0, ?, ?)", (record.next_attempt_at, key)
            )


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("duly-sqlite")]


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of those who write."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


async def limit_pages(store: SQLiteStore, pages: int) -> None:
    """Let the disk be full, as it were: the limit is the connection's own."""
    thread = store._writer._thread  # as above
    await thread.run(lambda db, _: db.execute(f"PRAGMA max_page_count = {pages}").fetchall())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, clock=lambda: START)
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duly_sqlite.connection, "PATIENCE", 0.05)


class TestURL:
    @pytest.mark.parametrize(
        ("url", "path"),
        [
            ("sqlite:///orders.db", "{}/orders.db"),
            ("sqlite:///data/or%20ders.db", "{}/data/or ders.db"),
            ("sqlite:////var/orders.db", "/var/orders.db"),
            ("SQLITE:////var/orders.db", "/var/orders.db"),
        ],
    )
    def test_paths(self, url: str, path: str) -> None:
        assert repr(store_from_url(url)) == f"SQLiteStore({path.format(Path.cwd())!r})"

    @pytest.mark.parametrize(
        ("url", "told"),
        [
            ("sqlite:///:memory:", "memory://"),
            ("sqlite://", "path"),
            ("sqlite:///", "path"),
            ("sqlite://orders.db", "no host"),
            ("sqlite://user:secret@/orders.db", "no host"),
            ("sqlite:///orders.db?timeout=3", "unknown option 'timeout'"),
            ("sqlite:///orders%00.db", "path"),
            ("sqlite:orders.db", "lacks slashes: write sqlite:///orders.db$"),
            ("sqlite:/var/orders.db", "lacks slashes: write sqlite:////var/orders.db$"),
            ("sqlite:", "lacks slashes: write sqlite:///$"),
            ("sqlite:user:secret@orders.db", "lacks slashes"),
        ],
    )
    def test_refused(self, url: str, told: str) -> None:
        with pytest.raises(InvalidArgument, match=told) as caught:
            store_from_url(url)
        assert "secret" not in str(caught.value)

    async def test_a_relative_path_is_taken_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        store = SQLiteStore("orders.db")
        monkeypatch.chdir("/")
        await store.open()
        await store.close()
        assert (tmp_path / "orders.db").exists()


class TestOpening:
    async def _refused(self, path: Path, told: str) -> None:
        store = SQLiteStore(path)
        with pytest.raises(StoreError, match=told) as caught:
            await store.open()
        assert type(caught.value) is StoreError
        assert str(path) in str(caught.value)
        with pytest.raises(StoreError, match="not open"):
            await store.put([])
        assert threads() == []

    async def test_missing_folder(self, tmp_path: Path) -> None:
        await self._refused(tmp_path / "missing" / "orders.db", "folder does not exist")

    async def test_folder(self, tmp_path: Path) -> None:
        await self._refused(tmp_path, "it is a folder")

    async def test_no_database(self, path: Path) -> None:
        path.write_text("Dear diary, " * 100)  # noqa: ASYNC240  # nothing else runs
        await self._refused(path, "not an SQLite database")

    async def test_somebody_elses_table(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE duly_messages (id INTEGER)")
        await self._refused(path, "duly_messages")

    async def test_a_table_without_our_columns(self, path: Path) -> None:
        await (store := SQLiteStore(path)).open()
        await store.close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE duly_messages RENAME payload TO body")
        await self._refused(path, "payload")

    async def test_a_newer_schema(self, path: Path) -> None:
        await (store := SQLiteStore(path)).open()
        await store.close()
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE duly_schema SET version = 8, usable_from = 7")
        await self._refused(path, "usable from version 7 on, this duly-sqlite has version 3")

    async def test_a_newer_schema_that_is_still_usable(self, path: Path) -> None:
        await (store := SQLiteStore(path)).open()
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE duly_schema SET version = 4")
            connection.execute("ALTER TABLE duly_messages ADD COLUMN news TEXT")
        await store.close()
        await store.open()
        assert await store.put([group("a")]) == [None]
        await store.close()

    async def test_the_version_before_goes_on_with_what_we_made(self, path: Path) -> None:
        """It inserts, reads and settles by the columns it knows; newer records it leaves alone."""
        await (store := SQLiteStore(path, clock=lambda: START)).open()
        later = Every(MINUTE, jitter=MINUTE)
        jittered = Message("event", id="j", scheduled_at=START + MINUTE, recurrence=later)
        await store.put([group("plain"), Group([jittered])])
        made_by_old(path, "old", version=2)
        names = list(Record._fields[:16])
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute(f"SELECT {', '.join(names)} FROM duly_messages").fetchall()
        assert {row[1]: row[0] for row in rows} == {"plain": 1, "old": 1, "j": 2}
        batch = await store.claim(limit=9, lease=MINUTE, owner="x")
        assert [claim.message.id for claim in batch.claims] == ["plain", "old"]
        counters = Counters(START, postpone_count=1)
        key = batch.claims[1].key
        assert batch.token is not None
        bury = Bury("x", error_class="Rejected")
        settle = Settle(batch.token, {key: Reschedule(START, counters), batch.claims[0].key: bury})
        assert await store.settle([settle]) == [True]
        with contextlib.closing(sqlite3.connect(path)) as connection:
            rows = connection.execute("SELECT id, format, last_error FROM duly_messages").fetchall()
        assert {*rows} == {("plain", 1, "x"), ("old", 2, None), ("j", 2, None)}
        await store.close()

    @pytest.mark.parametrize("version", [1, 2])
    async def test_what_an_older_version_made_is_buried_and_postponed(
        self, path: Path, version: int
    ) -> None:
        made_by_old(path, "a", "b", version=version)
        await (store := SQLiteStore(path, clock=lambda: START)).open()
        batch = await store.claim(limit=9, lease=MINUTE, owner="x")
        a, b = (claim.key for claim in batch.claims)
        assert batch.token is not None
        back = Reschedule(START, Counters(START, postpone_count=2))
        settle = Settle(batch.token, {a: Bury("x", error_class="Rejected"), b: back})
        assert await store.settle([settle]) == [True]
        dead, waiting = await store.list(Filter())
        assert (dead.id, dead.died_at, dead.error_class) == ("a", START, "Rejected")
        assert (waiting.id, waiting.postpone_count) == ("b", 2)
        await store.close()

    async def test_an_older_schema(self, path: Path) -> None:
        made_by_old(path, "a", "b")
        to_do = [*STEPS[1], *STEPS[2], sql_lines.MARK]
        assert list(await SQLiteStore(path).migrate(dry_run=True)) == to_do
        await (store := SQLiteStore(path, clock=lambda: START)).open()
        assert list(await store.migrate(dry_run=True)) == [sql_lines.MARK]
        made_by_old(path, "c")  # which goes on beside
        assert await ids(store) == ["a", "b", "c"]
        (found, *_) = await store.list(Filter())
        for replace in (False, True):
            assert await store.put([Group([found], replace)]) == [None]
        assert await store.get("a") == found
        assert await store.put([group("b")]) != [None]
        batch = await store.claim(limit=9, lease=MINUTE, owner="new")
        assert [claim.message.id for claim in batch.claims] == ["a", "b", "c"]
        await store.close()

    async def test_an_older_schema_without_our_columns(self, path: Path) -> None:
        made_by_old(path, "a")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE duly_messages RENAME payload TO body")
        await self._refused(path, "payload")

    async def test_restored_to_an_earlier_state_no_name_stands_for_another_fire(
        self, path: Path
    ) -> None:
        now, seen = START, set[tuple[str, datetime]]()
        store = SQLiteStore(path, clock=lambda: now)

        async def note(envelope: Envelope) -> None:
            seen.add((envelope.delivery_id, envelope.scheduled_at))

        async with Client(store, load_plugins=False) as client:
            await client.schedule(
                Message("tick", id="a", scheduled_at=START, recurrence=Every(MINUTE))
            )

        def opened() -> Scheduler:
            return Scheduler(store, note, load_plugins=False)

        copy = path.with_name("copy.db")
        for turn in range(9):
            async with opened() as scheduler, scheduler.running():
                while (stats := await scheduler.stats()).oldest_due or stats.claimed:  # noqa: ASYNC110  # nothing tells
                    await asyncio.sleep(0.01)
            await store.close()
            now += MINUTE
            if turn == 2:
                shutil.copy(path, copy)
            elif turn == 6:
                shutil.copy(copy, path)
        assert {fire for _, fire in seen} == {START + number * MINUTE for number in range(9)}
        assert len({name for name, _ in seen}) == len(seen) == 9

    async def test_a_file_that_may_only_be_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "orders.db"
            await (store := SQLiteStore(path)).open()
            await store.close()
            path.chmod(0o444)
            path.parent.chmod(0o555)
            user = os.geteuid()
            try:
                if user == 0:  # who may do all
                    os.seteuid(65534)
                await self._refused(path, "must be writable")
            finally:
                os.seteuid(user)
                path.parent.chmod(0o755)

    async def test_locked(self, path: Path, impatient: None) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
        store = SQLiteStore(path)
        with locked(path), pytest.raises(StoreUnavailable, match="lock"):
            await store.open()
        await store.open()
        await store.close()

    async def test_many_at_once_on_a_new_file(self, path: Path) -> None:
        stores = [SQLiteStore(path) for _ in range(8)]
        await asyncio.gather(*(store.open() for store in stores))
        await asyncio.gather(*(store.put([group(str(n))]) for n, store in enumerate(stores)))
        assert len(await ids(stores[0])) == 8
        await asyncio.gather(*(store.close() for store in stores))

    async def test_closing_ends_the_threads(self, path: Path) -> None:
        store = SQLiteStore(path)
        await asyncio.gather(*(store.open() for _ in range(3)))
        assert len(threads()) == 2
        await asyncio.gather(*(store.close() for _ in range(3)))
        assert threads() == []
        with pytest.raises(StoreError, match="not open"):
            await store.get("a")

    def test_one_event_loop_after_the_other(self, path: Path) -> None:
        store = SQLiteStore(path)

        async def use(id: str) -> list[str]:
            await store.open()
            waiting = asyncio.create_task(store.wait_for_change())
            await asyncio.sleep(0)
            await store.put([group(id, payload=id.encode())])
            await asyncio.wait([waiting], timeout=0.05)
            waiting.cancel()
            return await ids(store)

        assert asyncio.run(use("a")) == ["a"]
        assert asyncio.run(use("b")) == ["a", "b"]
        asyncio.run(store.close())
        assert asyncio.run(use("c")) == ["a", "b", "c"]
        asyncio.run(store.close())


class TestSchema:
    async def test_beside_tables_of_the_application(self, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE messages (id TEXT)")
            connection.execute("INSERT INTO messages VALUES ('mine')")
            connection.execute("PRAGMA user_version = 42")
        await (store := SQLiteStore(path)).open()
        await store.close()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT id FROM messages").fetchall() == [("mine",)]
            assert connection.execute("PRAGMA user_version").fetchone() == (42,)

    async def test_no_ddl_when_current(self, path: Path) -> None:
        versions = set()
        for _ in range(3):
            await (store := SQLiteStore(path)).open()
            await store.close()
            with contextlib.closing(sqlite3.connect(path)) as connection:
                versions.add(connection.execute("PRAGMA schema_version").fetchone())
        assert len(versions) == 1

    async def test_migrate(self, path: Path) -> None:
        store = SQLiteStore(path)
        statements = await store.migrate(dry_run=True)
        assert any("CREATE TABLE duly_messages" in each for each in statements)
        assert not path.exists()  # noqa: ASYNC240  # nothing else runs
        assert await store.migrate() == statements
        assert await store.migrate() == await store.migrate(dry_run=True) == ()
        with pytest.raises(StoreError, match="is a folder"):
            await SQLiteStore(path.parent).migrate()


async def test_what_gets_no_place_in_the_line_is_not_stored(path: Path) -> None:
    """By the hand of somebody else; a message that nobody will claim is none."""
    client = duly.Client(f"sqlite:///{path}")
    message = duly.Message("event", id="a", scheduled_at=duly.after(hours=1))
    async with client:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(
                "CREATE TRIGGER no BEFORE INSERT ON duly_due BEGIN SELECT RAISE(ABORT, 'no'); END"
            )
        with pytest.raises(StoreError):
            await client.schedule(message)
        assert await client.list() == []
