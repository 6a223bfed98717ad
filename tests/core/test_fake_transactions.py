"""Callers' transactions in a fake store: those of SQLAlchemy, and whatever else is given."""

import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import Session, registry, scoped_session, sessionmaker

import duly
import duly.sync
from duly import Cancellation, DuplicateMessage, InvalidArgument, Message, MessageNotFound, State
from duly.store import Group
from duly.testing import FakeStore

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def message(id: str, at: datetime = NOON + HOUR, **more: Any) -> Message:
    return Message("event", scheduled_at=at, id=id, **more)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore(now=NOON)


@pytest.fixture
def client(store: FakeStore) -> duly.Client:
    return duly.Client(store, load_plugins=False)


@pytest.fixture
async def async_engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/orders.db")
    yield engine
    await engine.dispose()


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(f"sqlite:///{tmp_path}/orders.db")
    yield engine
    engine.dispose()


async def ids(client: duly.Client, within: Any = None) -> list[str]:
    return sorted(each.id for each in await client.list(within=within))


class TestWithinAsyncSession:
    @pytest.fixture
    async def session(self, async_engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(async_engine) as session:
            yield session

    async def test_applied_by_a_commit(self, client, session) -> None:
        await client.schedule_many([message("gone"), message("moved")])
        async with session.begin():
            await client.schedule(message("a"), within=session)
            assert await client.cancel("gone", within=session) is Cancellation.CANCELLED
            assert await client.reschedule("moved", NOON + 5 * HOUR, within=session)
            assert await ids(client) == ["gone", "moved"]
            assert await ids(client, within=session) == ["a", "moved"]
            assert (await client.get("moved")).scheduled_at == NOON + HOUR
            assert (await client.get("moved", within=session)).scheduled_at == NOON + 5 * HOUR
            with pytest.raises(MessageNotFound):
                await client.get("a")
        assert await ids(client) == ["a", "moved"]
        assert (await client.get("moved")).scheduled_at == NOON + 5 * HOUR

    async def test_dropped_by_a_rollback(self, client, session) -> None:
        await client.schedule(message("stays"))
        with contextlib.suppress(ZeroDivisionError):
            async with session.begin():
                await client.schedule(message("a"), within=session)
                await client.cancel("stays", within=session)
                raise ZeroDivisionError
        assert await ids(client) == await ids(client, within=session) == ["stays"]

    async def test_begun_by_the_first_verb(self, client, session) -> None:
        await client.schedule(message("a"), within=session)
        await session.execute(text("SELECT 1"))
        await session.rollback()
        await client.schedule(message("b"), within=session)
        await session.commit()
        assert await ids(client) == ["b"]

    async def test_closed_without_a_commit(self, client, session) -> None:
        await client.schedule(message("a"), within=session)
        await session.close()
        await session.commit()
        assert await ids(client) == []

    async def test_one_after_the_other(self, client, session) -> None:
        for number in range(3):
            await client.schedule(message(str(number)), within=session)
            await session.commit()
            assert len(await ids(client)) == number + 1

    async def test_savepoints(self, client, session) -> None:
        async with session.begin():
            await client.schedule(message("before"), within=session)
            async with session.begin_nested():
                await client.schedule(message("kept"), within=session)
            with contextlib.suppress(ZeroDivisionError):
                async with session.begin_nested():
                    await client.schedule(message("dropped"), within=session)
                    async with session.begin_nested():
                        await client.schedule(message("dropped with it"), within=session)
                    raise ZeroDivisionError
            await client.schedule(message("after"), within=session)
            assert await ids(client) == []
        assert await ids(client) == ["after", "before", "kept"]

    async def test_first_used_in_a_savepoint(self, client, session) -> None:
        async with session.begin():
            with contextlib.suppress(ZeroDivisionError):
                async with session.begin_nested(), session.begin_nested():
                    await client.schedule(message("dropped"), within=session)
                    raise ZeroDivisionError
            async with session.begin_nested():
                await client.schedule(message("kept"), within=session)
        assert await ids(client) == ["kept"]

    async def test_errors_come_at_the_call_and_leave_it_usable(self, client, session) -> None:
        await client.schedule(message("taken"))
        async with session.begin():
            await client.schedule(message("a"), within=session)
            for id in ("taken", "a"):
                with pytest.raises(DuplicateMessage):
                    await client.schedule(message(id), within=session)
            with pytest.raises(DuplicateMessage):
                await client.schedule_many([message("b"), message("taken")], within=session)
            for verb in (client.cancel, lambda id, **more: client.reschedule(id, NOON, **more)):
                with pytest.raises(MessageNotFound):
                    await verb("unknown", within=session)
            await client.schedule(message("taken", NOON), replace=True, within=session)
        assert await ids(client) == ["a", "taken"]
        assert (await client.get("taken")).scheduled_at == NOON

    async def test_what_is_claimed(self, client, store, session) -> None:
        await client.schedule(message("a", NOON))
        await store.claim(limit=1, lease=HOUR, owner="somebody")
        async with session.begin():
            with pytest.raises(duly.WrongState):
                await client.reschedule("a", NOON, within=session)
            assert await client.cancel("a", within=session) is Cancellation.TOO_LATE
            assert (await client.get("a")).state is State.CLAIMED
        assert await ids(client) == []

    async def test_a_running_scheduler_is_woken_by_the_commit(self, store, session) -> None:
        names: list[str] = []
        running = duly.Scheduler(store, lambda envelope: names.append(envelope.message_id))
        async with running.running():
            async with session.begin():
                await running.schedule(message("a", NOON), within=session)
                await store.advance()
                assert names == []
            await store.advance()
            assert names == ["a"]

    async def test_two_stores_and_two_sessions(self, client, session, async_engine) -> None:
        other = duly.Client(FakeStore(now=NOON), load_plugins=False)
        async with AsyncSession(async_engine) as beside:
            await client.schedule(message("a"), within=session)
            await other.schedule(message("b"), within=session)
            await client.schedule(message("c"), within=beside)
            await beside.rollback()
            await session.commit()
        assert await ids(client) == ["a"]
        assert await ids(other) == ["b"]

    async def test_a_scoped_session(self, client, async_engine) -> None:
        scoped = async_scoped_session(async_sessionmaker(async_engine), scopefunc=lambda: 1)
        await client.schedule(message("a"), within=scoped)
        assert await ids(client) == []
        await scoped.commit()
        assert await ids(client) == ["a"]
        await scoped.remove()


class TestWithinAsyncConnection:
    async def test_commits_rollbacks_and_savepoints(self, client, async_engine) -> None:
        async with async_engine.connect() as connection:
            async with connection.begin():
                await client.schedule(message("a"), within=connection)
                with contextlib.suppress(ZeroDivisionError):
                    async with connection.begin_nested():
                        await client.schedule(message("dropped"), within=connection)
                        raise ZeroDivisionError
                async with connection.begin_nested():
                    await client.schedule(message("b"), within=connection)
                assert await ids(client) == []
                assert await ids(client, within=connection) == ["a", "b"]
            assert await ids(client) == ["a", "b"]
            await client.schedule(message("c"), within=connection)
            await connection.rollback()
            await client.schedule(message("d"), within=connection)
        assert await ids(client) == ["a", "b"]

    async def test_first_used_in_a_savepoint(self, client, async_engine) -> None:
        async with async_engine.connect() as connection, connection.begin():
            with contextlib.suppress(ZeroDivisionError):
                async with connection.begin_nested():
                    await client.schedule(message("dropped"), within=connection)
                    raise ZeroDivisionError
            await client.schedule(message("a"), within=connection)
        assert await ids(client) == ["a"]

    async def test_one_that_is_not_open(self, client, async_engine) -> None:
        with pytest.raises(InvalidArgument, match="not open"):
            await client.schedule(message("a"), within=async_engine.connect())


class TestWithinSession:
    def test_the_blocking_door(self, store: FakeStore, engine: Engine) -> None:
        with duly.sync.Client(store, load_plugins=False) as client:
            with Session(engine) as session, session.begin():
                client.schedule(message("a"), within=session)
                with contextlib.suppress(ZeroDivisionError), session.begin_nested():
                    client.schedule(message("dropped"), within=session)
                    raise ZeroDivisionError
                assert not client.list()
                assert len(client.list(within=session)) == 1
            assert [each.id for each in client.list()] == ["a"]
            with engine.connect() as connection:
                client.schedule(message("b"), within=connection)
                connection.commit()
                client.schedule(message("c"), within=connection)
            scoped = scoped_session(sessionmaker(engine))
            client.schedule(message("d"), within=scoped)
            scoped.commit()
            scoped.remove()
            assert sorted(each.id for each in client.list()) == ["a", "b", "d"]

    async def test_a_flush_that_fails(self, client: duly.Client, engine: Engine) -> None:
        mapped = registry()
        table = Table("orders", mapped.metadata, Column("id", Integer, primary_key=True))

        class Order:
            def __init__(self, id: int) -> None:
                self.id = id

        mapped.map_imperatively(Order, table)
        mapped.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(Order(1))
            session.commit()
        with Session(engine) as session:
            await client.schedule(message("dropped"), within=session)
            session.add(Order(1))
            with pytest.raises(IntegrityError):
                session.commit()
            session.rollback()
            session.add(Order(2))
            await client.schedule(message("a"), within=session)
            session.commit()
        assert await ids(client) == ["a"]
        mapped.dispose()

    async def test_a_session_in_a_transaction_that_the_test_rolls_back(
        self, client: duly.Client, engine: Engine
    ) -> None:
        """What a service commits in a session is committed, whatever the test does around it."""
        with engine.connect() as connection:
            outer = connection.begin()
            session = Session(connection, join_transaction_mode="create_savepoint")
            await client.schedule(message("a"), within=session)
            session.commit()
            assert await ids(client) == ["a"]
            await client.schedule(message("b"), within=session)
            session.close()
            outer.rollback()
        assert await ids(client) == ["a"]


@pytest.mark.parametrize(
    "within",
    [object(), MagicMock(), "a transaction", 0, MetaData()],
    ids=lambda each: type(each).__name__,
)
async def test_within_anything_else_it_is_applied_at_once(client: duly.Client, within) -> None:
    await client.schedule(message("a"), within=within)
    await client.schedule(message("b"), within=within)
    await client.cancel("a", within=within)
    await client.reschedule("b", NOON + 7 * HOUR, within=within)
    assert await ids(client) == await ids(client, within=within) == ["b"]
    assert (await client.get("b", within=within)).scheduled_at == NOON + 7 * HOUR


async def test_pages_of_a_transaction(client: duly.Client, engine: Engine) -> None:
    await client.schedule_many([message(f"{number:04}") for number in range(900)])
    with Session(engine) as session:
        await client.schedule_many(
            [message(f"{number:04}") for number in range(900, 1200)], within=session
        )
        found = [each.id async for each in client.iterate(within=session)]
        assert found == [f"{number:04}" for number in range(1200)]


async def test_a_store_forgets_sessions_with_them(store: FakeStore, engine: Engine) -> None:
    session = Session(engine)
    await store.put([Group([message("a")])], within=session)
    session.close()
    assert len(store._pending) == 1
    del session
    gc.collect()
    assert not len(store._pending)
