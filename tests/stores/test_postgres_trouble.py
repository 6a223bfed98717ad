"""Connections that drop, calls that nobody waits for any more, settings that are not safe."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from tests.stores.postgres_kit import START, Place, cut, due, group, place, until_listening

from duly import Filter, State, StoreError, StoreUnavailable
from duly.store import Bury, Settle
from duly_postgres import PostgresStore, desk
from duly_postgres.connection import Connection
from duly_postgres.errors import translated

__all__ = ["place"]

MINUTE = timedelta(minutes=1)


class Dying:
    """Stands in for the driver of a connection that is being closed."""

    def __init__(self, connection: Connection) -> None:
        self._driver = connection.driver
        self.terminated = False
        connection.driver = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._driver, name)

    async def prepare(self, statement: str) -> None:
        raise asyncpg.InternalClientError(
            "cannot switch to state 11; another operation (2) is in progress"
        )

    def terminate(self) -> None:
        self.terminated = True
        self._driver.terminate()


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


class TestConnections:
    async def test_idle_ones_that_were_cut_are_replaced(
        self, store: PostgresStore, place: Place
    ) -> None:
        await store.claim(limit=1, lease=MINUTE, owner="me")
        assert await cut(place) >= 2
        await asyncio.sleep(0.1)  # let it be noticed
        assert await store.put([due("a")]) == [None]
        assert len((await store.claim(limit=1, lease=MINUTE, owner="me")).claims) == 1

    async def test_one_that_is_just_being_cut_is_replaced(self, store: PostgresStore) -> None:
        """For a moment it has read the server's last words, and is not closed yet."""
        connections = store._desk.callers
        dying = [Dying(connection) for connection in connections._idle]
        assert dying
        assert await store.put([due("a")]) == [None]
        assert (await store.stats()).scheduled == 1
        assert any(each.terminated for each in dying)

    async def test_one_that_dies_after_its_first_answer_is_told_of(
        self, store: PostgresStore
    ) -> None:
        (connection,) = store._desk.callers._idle

        async def work(db: Connection) -> None:
            await db.fetch("SELECT 1")
            Dying(connection)
            await db.fetch("SELECT 2")

        with pytest.raises(StoreUnavailable, match="another operation"):
            await store._desk.callers.run(work)

    async def test_cut_in_the_middle(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(desk, "_BRIEF", MINUTE)  # so that it still waits when it is cut
        async with place.opened() as store, place.connection() as connection:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {place.table} IN EXCLUSIVE MODE")
                storing = asyncio.create_task(store.put([due("a")]))
                await blocked(place)
                await cut(place)
                with pytest.raises(StoreUnavailable, match=r"connection|stopped"):
                    await storing
            assert await store.put([due("a")]) == [None]

    async def test_at_most_six(self, store: PostgresStore, place: Place) -> None:
        listening = asyncio.create_task(store.wait_for_change())
        await until_listening(place)
        listening.cancel()
        await asyncio.gather(
            *(store.put([due(f"m{number}")]) for number in range(50)),
            *(store.claim(limit=1, lease=MINUTE, owner="me") for _ in range(50)),
        )
        rows = await place.fetch(
            "SELECT FROM pg_stat_activity WHERE application_name = 'duly' "
            "AND datname = current_database()"
        )
        assert len(rows) == 6

    async def test_an_engine_that_the_application_uses_up(self, place: Place) -> None:
        """The store's connections are its own, and the application's pool is not touched."""
        engine = create_async_engine(
            place.url.replace("postgresql:", "postgresql+asyncpg:"),
            pool_size=1, max_overflow=0, pool_timeout=5,
        )  # fmt: skip
        store = PostgresStore(engine, table=place.table)
        await store.open()
        async with engine.connect() as connection:
            assert await store.put([due("a")]) == [None]
            assert connection.sync_connection is not None
        await asyncio.gather(*(store.put([due(f"m{n}")]) for n in range(9)))
        async with engine.connect() as connection:
            assert (await connection.exec_driver_sql("SHOW enable_seqscan")).scalar() == "on"
        await store.close()
        await engine.dispose()

    async def test_used_before_it_is_open_and_after(self, place: Place) -> None:
        store = place.store()
        for _ in range(2):
            with pytest.raises(StoreError, match="not open"):
                await store.stats()
            await store.close()
            await store.open()
            await store.open()
            assert (await store.stats()).scheduled == 0
            await store.close()


async def blocked(place: Place) -> None:
    for _ in range(500):
        if await place.fetch(
            "SELECT FROM pg_stat_activity WHERE application_name = 'duly' "
            "AND wait_event_type = 'Lock' AND datname = current_database()"
        ):
            return
        await asyncio.sleep(0.02)
    pytest.fail("nobody waits for a lock")


class TestAbandoned:
    async def test_a_claim_that_nobody_waits_for_is_given_back(
        self, store: PostgresStore, place: Place
    ) -> None:
        await store.put([due("a", "b")])
        async with place.connection() as connection:
            async with connection.transaction():
                await connection.execute(f"LOCK TABLE {place.table}_leases IN EXCLUSIVE MODE")
                claiming = asyncio.create_task(store.claim(limit=9, lease=MINUTE, owner="me"))
                await blocked(place)
                claiming.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await claiming
        await store._desk.schedulers.close()
        store._desk.schedulers.open()
        assert await place.fetch("SELECT * FROM {t}_leases") == []
        batch = await store.claim(limit=9, lease=MINUTE, owner="me")
        assert [(each.message.id, each.lapses) for each in batch.claims] == [("a", 0), ("b", 0)]

    async def test_what_waits_for_a_connection_is_not_begun(self, store: PostgresStore) -> None:
        begun, go_on = asyncio.Semaphore(0), asyncio.Event()

        async def hold(_: object) -> None:
            begun.release()
            await go_on.wait()

        callers = store._desk.callers
        holding = [asyncio.create_task(callers.run(hold)) for _ in range(desk._CALLERS)]
        for _ in holding:
            await begun.acquire()
        storing = asyncio.create_task(store.put([due("a")]))
        await asyncio.sleep(0.05)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        go_on.set()
        await asyncio.gather(*holding)
        assert await store.list(Filter()) == []

    async def test_closing_waits_for_what_is_under_way(self, place: Place) -> None:
        async with place.opened() as store:
            storing = asyncio.create_task(store.put([due("a")]))
            await asyncio.sleep(0)
        assert await storing == [None]


class TestRaces:
    async def test_two_who_store_one_id(self, store: PostgresStore, place: Place) -> None:
        async with place.opened() as other:
            for number in range(20):
                outcomes = await asyncio.gather(
                    *(each.put([due(f"m{number}")]) for each in (store, other, store))
                )
                assert sum(outcome == [None] for outcome in outcomes) == 1
        assert (await store.stats()).scheduled == 20

    async def test_cancelling_what_is_being_settled(
        self, store: PostgresStore, place: Place
    ) -> None:
        """Both hold many of the same messages, and neither fails."""
        ids = [f"m{number:03}" for number in range(300)]
        async with place.opened() as other:
            for _ in range(5):
                await store.put([due(*ids)])
                batch = await store.claim(limit=300, lease=MINUTE, owner="me")
                assert batch.token is not None
                states, settled = await asyncio.gather(
                    other.cancel(ids[::-1]), store.settle([Settle(batch.token)])
                )
                assert settled == [True]
                assert set(states) <= {None, State.CLAIMED}
                assert await store.list(Filter()) == []
        assert (await store.stats()).scheduled == 0

    async def test_text_that_postgresql_cannot_hold(self, store: PostgresStore) -> None:
        await store.put([due("a")])
        batch = await store.claim(limit=1, lease=MINUTE, owner="me")
        assert batch.token is not None
        key = batch.claims[0].key
        assert await store.settle([Settle(batch.token, {key: Bury("a\0b\ud800c")})]) == [True]
        found = await store.get("a")
        assert found is not None
        assert found.last_error == "a\ufffdb?c"


class TestHealth:
    async def test_settings_that_are_not_safe(self, place: Place) -> None:
        async with place.opened() as store:
            told = await store.check()  # the tests' own database does not wait for the disk
            assert any("synchronous_commit is off" in each for each in told)
        await place.execute("ALTER TABLE {t}_due SET UNLOGGED")
        async with place.opened() as store:
            assert any("_due is unlogged" in each for each in await store.check())

    async def test_all_is_well(self, place: Place) -> None:
        engine = create_async_engine(
            place.url.replace("postgresql:", "postgresql+asyncpg:"),
            connect_args={"server_settings": {"synchronous_commit": "on"}},
        )
        store = PostgresStore(engine, table=place.table)
        await store.open()
        told = await store.check()
        async with place.connection() as connection:
            if await connection.fetchval("SHOW fsync") == "on":
                assert told == []
        await store.close()
        await engine.dispose()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncpg.SerializationError("x"), StoreUnavailable),
        (asyncpg.DeadlockDetectedError("x"), StoreUnavailable),
        (asyncpg.ReadOnlySQLTransactionError("x"), StoreUnavailable),
        (asyncpg.TooManyConnectionsError("x"), StoreUnavailable),
        (asyncpg.DiskFullError("x"), StoreUnavailable),
        (asyncpg.QueryCanceledError("x"), StoreUnavailable),
        (asyncpg.CannotConnectNowError("x"), StoreUnavailable),
        (asyncpg.InterfaceError("connection is closed"), StoreUnavailable),
        (ConnectionResetError("x"), StoreUnavailable),
        (asyncpg.InvalidPasswordError("x"), StoreError),
        (asyncpg.InsufficientPrivilegeError("x"), StoreError),
        (asyncpg.CheckViolationError("x"), StoreError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_what_the_driver_raises(error: Exception, kind: type[StoreError]) -> None:
    with pytest.raises(StoreError) as caught, translated("here"):
        raise error
    assert type(caught.value) is kind
    assert caught.value.__cause__ is error


def test_other_errors_come_through() -> None:
    with pytest.raises(KeyError), translated("here"):
        raise KeyError("x")


async def test_a_page_behind_an_id_that_nobody_can_have(store: PostgresStore) -> None:
    ids = ["a", "aa", "b", "\ud7ff", "\ue000"]
    await store.put([group(*ids, at=START)])
    for start, left in (("a\0b", ids[1:]), ("\ud800", ids[4:]), ("\0", ids), ("b", ids[3:])):
        found = await store.list(Filter(), from_key=(START, start))
        assert [message.id for message in found] == left
