"""``within=`` a connection of the caller's own: whatever its settings, and never a foreign one."""

import contextlib
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from duly import (
    Client,
    DuplicateMessage,
    Filter,
    InvalidArgument,
    Message,
    State,
    StoreUnavailable,
)
from duly.store import Group
from duly_sqlite import SQLiteStore

START = datetime(2030, 1, 1, tzinfo=UTC)


def group(*ids: str, replace: bool = False) -> Group:
    return Group([Message("event", id=id, scheduled_at=START) for id in ids], replace)


async def ids(store: SQLiteStore) -> list[str]:
    return [message.id for message in await store.list(Filter())]


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
def connection(store: SQLiteStore, path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
        connection.execute("CREATE TABLE orders (id TEXT)")
        yield connection


def plain(connection: sqlite3.Connection) -> None:
    """As it comes."""


def rows(connection: sqlite3.Connection) -> None:
    connection.row_factory = sqlite3.Row


def dictionaries(connection: sqlite3.Connection) -> None:
    connection.row_factory = lambda cursor, row: {"row": row, "of": cursor}


def texts_as_bytes(connection: sqlite3.Connection) -> None:
    connection.text_factory = bytes


def texts_as_anything(connection: sqlite3.Connection) -> None:
    connection.text_factory = lambda data: pytest.fail(f"asked for {data!r}")


def by_hand(connection: sqlite3.Connection) -> None:
    connection.isolation_level = None


def exclusive(connection: sqlite3.Connection) -> None:
    connection.isolation_level = "EXCLUSIVE"


def always_in_a_transaction(connection: sqlite3.Connection) -> None:
    if sys.version_info >= (3, 12):
        connection.autocommit = False


SETTINGS = [
    plain, rows, dictionaries, texts_as_bytes, texts_as_anything, by_hand, exclusive,
    always_in_a_transaction,
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
class TestSettings:
    """All verbs, on connections of all kinds, with and without a transaction that is open."""

    @pytest.mark.parametrize("opened", [False, True], ids=["begins", "joins"])
    @pytest.mark.parametrize("kept", [True, False], ids=["commit", "rollback"])
    async def test_all_verbs(
        self,
        store: SQLiteStore,
        connection: sqlite3.Connection,
        settings: Callable[[sqlite3.Connection], None],
        *,
        opened: bool,
        kept: bool,
    ) -> None:
        await store.put([group("cancelled", "moved", "replaced", "taken")])
        connection.commit()
        settings(connection)
        if opened and not connection.in_transaction:
            connection.execute("BEGIN")
        factories = connection.row_factory, connection.text_factory
        outcomes = await store.put(
            [group("new"), group("x", "taken"), group("replaced", replace=True)],
            within=connection,
        )
        assert [type(each) for each in outcomes] == [type(None), DuplicateMessage, type(None)]
        found = await store.cancel(["cancelled", "unknown"], within=connection)
        assert found == [State.SCHEDULED, None]
        moved = await store.reschedule(
            "moved", START + timedelta(days=1), of_state=State.SCHEDULED, within=connection
        )
        assert moved is State.SCHEDULED
        seen = await store.list(Filter(), within=connection)
        assert [each.id for each in seen] == ["new", "replaced", "taken", "moved"]
        assert [await store.get(each.id, within=connection) for each in seen] == seen
        assert await store.get("cancelled", within=connection) is None
        connection.execute("INSERT INTO orders VALUES ('mine')")
        assert (connection.row_factory, connection.text_factory) == factories
        assert connection.in_transaction
        assert await ids(store) == ["cancelled", "moved", "replaced", "taken"]
        if kept:
            connection.commit()
        else:
            connection.rollback()
        assert await ids(store) == (
            ["new", "replaced", "taken", "moved"]
            if kept
            else ["cancelled", "moved", "replaced", "taken"]
        )
        claimed = await store.claim(limit=9, lease=timedelta(minutes=1), owner="me")
        assert len(claimed.claims) == (3 if kept else 4)


class TestLooking:
    async def test_no_transaction_is_begun(
        self, store: SQLiteStore, connection: sqlite3.Connection
    ) -> None:
        """Nobody waits for one who only looks."""
        await store.put([group("a")])
        assert await store.get("a", within=connection)
        assert len(await store.list(Filter(), within=connection)) == 1
        assert not connection.in_transaction

    async def test_what_is_no_text(
        self, store: SQLiteStore, connection: sqlite3.Connection
    ) -> None:
        await store.put([group("a", "b")])
        connection.execute("UPDATE duly_messages SET event_name = CAST(x'80' AS TEXT)")
        texts_as_anything(connection)
        factory = connection.text_factory
        seen = await store.list(Filter(), within=connection)
        assert [each.state for each in seen] == [State.DEAD] * 2
        assert connection.text_factory is factory
        connection.rollback()
        assert [each.state for each in await store.list(Filter())] == [State.SCHEDULED] * 2


class TestSQLAlchemy:
    """The connection of a session is one of the sqlite3 module, which a session itself is not."""

    @pytest.fixture
    def engine(self, store: SQLiteStore, path: Path) -> Iterator[Engine]:
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE shop (id INTEGER PRIMARY KEY)"))
        yield engine
        engine.dispose()

    @pytest.mark.parametrize("kept", [True, False], ids=["commit", "rollback"])
    async def test_a_session_lends_its_own(
        self, store: SQLiteStore, engine: Engine, *, kept: bool
    ) -> None:
        with Session(engine) as session:
            session.execute(text("INSERT INTO shop VALUES (17)"))
            await store.put([group("a")], within=session.connection().connection.driver_connection)
            assert await ids(store) == []
            (session.commit if kept else session.rollback)()
            rows = session.execute(text("SELECT id FROM shop")).all()
        assert await ids(store) == (["a"] if kept else [])
        assert len(rows) == kept

    async def test_the_error_for_a_session_says_so(
        self, store: SQLiteStore, engine: Engine
    ) -> None:
        client = Client(store, load_plugins=False)
        within: tuple[Any, ...] = (Session(engine), AsyncSession())
        for session in within:
            with pytest.raises(InvalidArgument, match=r"this (Async)?Session: .*driver_connection"):
                await client.list(within=session)


class TestRefused:
    async def _refused(self, store: SQLiteStore, within: Any, told: str) -> None:
        for ask in (
            store.put([group("a")], within=within),
            store.get("a", within=within),
            store.list(Filter(), within=within),
        ):
            with pytest.raises(InvalidArgument, match=told):
                await ask
        assert await ids(store) == []

    async def test_no_connection(self, store: SQLiteStore) -> None:
        await self._refused(store, object(), "must be a sqlite3.Connection")

    async def test_a_closed_one(self, store: SQLiteStore, path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.close()
        await self._refused(store, connection, "closed")

    async def test_one_of_another_thread(self, store: SQLiteStore, path: Path) -> None:
        with ThreadPoolExecutor(1) as other:
            connection = other.submit(sqlite3.connect, path).result()
            await self._refused(store, connection, "thread")
            other.submit(connection.close).result()

    @pytest.mark.parametrize("other", ["other.db", ":memory:", ""])
    async def test_one_to_another_file(
        self, store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch, other: str
    ) -> None:
        monkeypatch.chdir(path.parent)
        with contextlib.closing(sqlite3.connect(other)) as connection:
            await self._refused(store, connection, "not to")
            assert not connection.in_transaction

    async def test_the_same_file_by_another_name(self, store: SQLiteStore, path: Path) -> None:
        link = path.parent / "link.db"
        link.symlink_to(path)
        with contextlib.closing(sqlite3.connect(link)) as connection, connection:
            assert await store.put([group("a")], within=connection) == [None]
        assert await ids(store) == ["a"]


class TestTrouble:
    async def test_locked(self, store: SQLiteStore, path: Path) -> None:
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            with contextlib.closing(sqlite3.connect(path, timeout=0)) as connection:
                with pytest.raises(StoreUnavailable, match="lock"):
                    await store.put([group("a")], within=connection)
                assert not connection.in_transaction

    async def test_what_it_read_has_changed(
        self, store: SQLiteStore, connection: sqlite3.Connection
    ) -> None:
        connection.execute("BEGIN")
        connection.execute("SELECT * FROM orders").fetchall()
        await store.put([group("a")])
        with pytest.raises(StoreUnavailable, match="lock"):
            await store.put([group("b")], within=connection)
        connection.rollback()
        await store.put([group("b")], within=connection)
        connection.commit()
        assert await ids(store) == ["a", "b"]

    async def test_a_failure_undoes_its_own_part_only(
        self, store: SQLiteStore, connection: sqlite3.Connection
    ) -> None:
        connection.execute("INSERT INTO orders VALUES ('mine')")
        late = Group([Message("event", id="late", scheduled_at=START)])
        connection.set_authorizer(
            lambda action, table, *_: (
                sqlite3.SQLITE_DENY
                if (action, table) == (sqlite3.SQLITE_INSERT, "duly_due")
                else sqlite3.SQLITE_OK
            )
        )
        with pytest.raises(Exception, match="not authorized"):
            await store.put([late], within=connection)
        connection.set_authorizer(None)
        connection.commit()
        assert connection.execute("SELECT id FROM orders").fetchall() == [("mine",)]
        assert await ids(store) == []

    async def test_it_is_woken_for_by_peeking(
        self, store: SQLiteStore, connection: sqlite3.Connection
    ) -> None:
        await store.changed()
        await store.put([group("a")], within=connection)
        assert not await store.changed()
        connection.commit()
        assert await store.changed()
