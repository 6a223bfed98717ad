"""Transactions of callers as they come: begun by hand, in two phases, in a deadlock, by any role."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from tests.servers.postgres import PostgresServer
from tests.stores.postgres_kit import START, Place, due, group, ids

from duly import InvalidArgument, State, StoreUnavailable
from duly_postgres import PostgresStore


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer("max_prepared_transactions=3", "deadlock_timeout=100ms") as server:
        yield server


@pytest.fixture
async def place(server: PostgresServer) -> AsyncIterator[Place]:
    place = Place(server.url)
    yield place
    await place.drop()


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


@pytest.fixture
async def engine(place: Place) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(place.url.replace("postgresql:", "postgresql+asyncpg:"))
    yield engine
    await engine.dispose()


class TestBegunByHand:
    @pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
    async def test_every_verb(self, store: PostgresStore, place: Place, end: str) -> None:
        await store.put([group("a", "b")])
        async with place.connection() as connection:
            await connection.execute("BEGIN")
            assert await store.put([group("c")], within=connection) == [None]
            assert await store.put([group("a", replace=True)], within=connection) == [None]
            (refused,) = await store.put([group("b", "d")], within=connection)
            assert refused is not None
            assert await store.cancel(["b"], within=connection) == [State.SCHEDULED]
            await store.reschedule("c", START, of_state=State.SCHEDULED, within=connection)
            await connection.execute(end)
        assert await ids(store) == (["a", "c"] if end == "COMMIT" else ["a", "b"])

    async def test_by_sqlalchemy_where_each_statement_is_committed_by_itself(
        self, store: PostgresStore, engine: AsyncEngine
    ) -> None:
        alone = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with alone.connect() as connection:
            with pytest.raises(InvalidArgument, match="AUTOCOMMIT"):
                await store.put([group("a")], within=connection)
            await connection.exec_driver_sql("BEGIN")
            assert await store.put([group("b")], within=connection) == [None]
            await connection.exec_driver_sql("COMMIT")
        assert await ids(store) == ["b"]


class TestInTwoPhases:
    async def test_a_session(self, store: PostgresStore, engine: AsyncEngine) -> None:
        async with AsyncSession(engine, twophase=True) as session:
            await store.put([due("a")], within=session)
            await session.commit()
        assert await ids(store) == ["a"]

    async def test_a_connection(self, store: PostgresStore, engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            transaction = await connection.run_sync(lambda each: each.begin_twophase())
            await store.put([due("a")], within=connection)
            await connection.run_sync(lambda _: transaction.prepare())
            assert await ids(store) == []
            await connection.run_sync(lambda _: transaction.commit())
        assert await ids(store) == ["a"]

    async def test_by_hand(self, store: PostgresStore, place: Place) -> None:
        """What is due later needs no note; what is due soon the server refuses, in its words."""
        async with place.connection() as connection:
            await connection.execute("BEGIN")
            await store.put([group("later")], within=connection)
            await connection.execute("PREPARE TRANSACTION 'later'")
            await connection.execute("COMMIT PREPARED 'later'")
            await connection.execute("BEGIN")
            await store.put([due("soon")], within=connection)
            with pytest.raises(asyncpg.PostgresError, match="NOTIFY"):
                await connection.execute("PREPARE TRANSACTION 'soon'")
        assert await ids(store) == ["later"]


async def test_a_deadlock_is_told_at_once_as_what_it_is(store: PostgresStore, place: Place) -> None:
    await store.put([group("a"), group("b")])
    async with place.connection() as one, place.connection() as two:
        await one.execute("BEGIN")
        await two.execute("BEGIN")
        await store.cancel(["a"], within=one)
        await store.cancel(["b"], within=two)

        async def cancel(id: str, connection: asyncpg.Connection) -> object:
            try:
                return await store.cancel([id], within=connection)
            except StoreUnavailable as error:
                await connection.execute("ROLLBACK")
                return str(error)

        told = await asyncio.gather(cancel("b", one), cancel("a", two))
        assert [State.SCHEDULED] in told
        (refusal,) = [each for each in told if isinstance(each, str)]
        assert "a deadlock" in refusal


async def test_a_role_that_may_not_know_the_cluster(store: PostgresStore, place: Place) -> None:
    """Its transaction goes on; one of another database is told from it all the same."""
    await place.execute(
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        "DROP ROLE IF EXISTS clerk",
        "CREATE ROLE clerk LOGIN",
        "GRANT ALL ON {t}, {t}_due, {t}_leases, {t}_version TO clerk",
    )
    url = place.url.replace("postgres@", "clerk@")
    connection = await asyncpg.connect(url)
    async with connection.transaction():
        assert await store.put([group("a")], within=connection) == [None]
        assert await store.cancel(["unknown"], within=connection) == [None]
    await connection.close()
    assert await ids(store) == ["a"]
    elsewhere = await asyncpg.connect(url.replace("/postgres", "/template1"))
    async with elsewhere.transaction():
        with pytest.raises(InvalidArgument, match="another database"):
            await store.put([group("b")], within=elsewhere)
        await elsewhere.execute("SELECT 1")
    await elsewhere.close()
    await place.execute("DROP OWNED BY clerk", "DROP ROLE clerk")
