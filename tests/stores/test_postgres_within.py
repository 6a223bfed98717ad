"""``within=`` a transaction of the caller's own."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from tests.servers.postgres import database
from tests.stores.postgres_kit import START, Place, group, ids, place

import duly
from duly import DuplicateMessage, Filter, InvalidArgument, Message, State, StoreError, after
from duly.store import Group, SupportsTransactions
from duly_postgres import PostgresStore

__all__ = ["place"]

ZONES = ["UTC", "America/St_Johns", "Asia/Kathmandu", "Pacific/Kiritimati", "Europe/Berlin"]


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


@pytest.fixture
async def engine(place: Place) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(
        place.url.replace("postgresql:", "postgresql+asyncpg:"), pool_size=1, max_overflow=0
    )
    yield engine
    await engine.dispose()


@pytest.fixture
def other_url(postgres_url: str) -> Iterator[str]:
    """A second database of the same server."""
    with database(postgres_url) as url:
        yield url


class TestWhatIsStored:
    async def test_all_of_a_message(self, store: PostgresStore, place: Place) -> None:
        message = Message(
            "event",
            bytes(range(256)),
            id="ключ-🔑-\\-'\"",
            metadata={"名": 'a "quoted" \\ value\n', "empty": ""},
            recurrence=duly.Cron("30 2 * * *", timezone="Europe/Berlin", max_occurrences=7),
            created_at=START,
        )
        expiring = Message(
            "event", id="e", scheduled_at=START, expires_at=datetime.max.replace(tzinfo=UTC)
        )
        earliest = Message("event", id="z", scheduled_at=datetime.min.replace(tzinfo=UTC))
        async with place.connection() as connection, connection.transaction():
            messages = [message, expiring, earliest]
            assert await store.put([Group(messages)], within=connection) == [None]
        for each in messages:
            assert await store.get(each.id) == each

    async def test_nothing(self, store: PostgresStore, place: Place) -> None:
        async with place.connection() as connection, connection.transaction():
            assert await store.put([], within=connection) == []
            assert await store.cancel([], within=connection) == []
            assert await store.cancel(["\0", "\ud800"], within=connection) == [None, None]

    async def test_a_connection_with_codecs_of_its_own(
        self, store: PostgresStore, place: Place
    ) -> None:
        async with place.connection() as connection:
            for name in ("timestamptz", "json", "jsonb", "bytea"):
                await connection.set_type_codec(
                    name, schema="pg_catalog", encoder=lambda _: 1 / 0, decoder=lambda _: 1 / 0
                )
            async with connection.transaction():
                await store.put([group("a", "b")], within=connection)
                await store.put([group("a", replace=True)], within=connection)
                assert await store.cancel(["b"], within=connection) == [State.SCHEDULED]
                await store.reschedule(
                    "a", START + timedelta(days=1), of_state=State.SCHEDULED, within=connection
                )
                looked = await store.get("a", within=connection)
                assert list(await store.list(Filter(after=START), within=connection)) == [looked]
        (found,) = await store.list(Filter())
        assert found == looked
        assert found.scheduled_at == START + timedelta(days=1)
        assert found.created_at > START - timedelta(days=36500)

    @pytest.mark.parametrize("zone", ZONES)
    async def test_in_any_time_zone(self, store: PostgresStore, place: Place, zone: str) -> None:
        settings = {"timezone": zone, "datestyle": "German"}
        moments = [START + timedelta(hours=n, microseconds=n) for n in range(48)]
        async with place.connection(server_settings=settings) as connection:
            async with connection.transaction():
                for n, moment in enumerate(moments):
                    await store.put([group(f"{n:02}", at=moment)], within=connection)
                    await store.put([group(f"{n:02}", at=moment, replace=True)], within=connection)
                seen = await store.list(Filter(after=moments[7]), within=connection)
                assert [each.scheduled_at for each in seen] == moments[7:]
                pages = await store.list(Filter(), from_key=(moments[7], "07"), within=connection)
                assert list(pages) == list(seen)[1:]
            await connection.fetchval(
                f"SELECT {place.table}_schedule('event', id => 'z', scheduled_at => $1)", START
            )
        listed = await store.list(Filter())
        assert [each.scheduled_at for each in listed if each.id != "z"] == moments
        assert {each.scheduled_at for each in listed if each.id == "z"} == {START}

    async def test_a_store_of_any_time_zone(self, place: Place) -> None:
        seen = set()
        for zone in ZONES:
            engine = create_async_engine(
                place.url.replace("postgresql:", "postgresql+asyncpg:"),
                connect_args={"server_settings": {"timezone": zone, "datestyle": "SQL, DMY"}},
            )
            store = PostgresStore(engine, table=place.table, clock=lambda: START)
            await store.open()
            await store.put([group(zone)])
            await store.put([group(zone, replace=True)])
            await store.reschedule(zone, START, of_state=State.SCHEDULED)
            seen |= {
                (each.scheduled_at, each.next_attempt_at) for each in await store.list(Filter())
            }
            await store.close()
            await engine.dispose()
        assert seen == {(START, START)}


class TestLooking:
    async def test_what_cannot_be_read(self, store: PostgresStore, place: Place) -> None:
        await store.put([group("a", "b", "c", "d")])
        await place.execute(
            "ALTER TABLE {t} DROP CONSTRAINT {t}_next_attempt_at_check",
            "ALTER TABLE {t} DROP CONSTRAINT {t}_given_at_check",
            "UPDATE {t} SET metadata = '\\x80' WHERE id = 'a'",
            "UPDATE {t} SET next_attempt_at = 'infinity' WHERE id = 'b'",
            "UPDATE {t} SET given_at = '290000-01-01' WHERE id = 'c'",
        )
        listed = await store.list(Filter())
        async with place.connection() as connection, connection.transaction():
            looked = await store.list(Filter(), within=connection)
            assert [(each.id, each.event_name) for each in looked] == [
                (each.id, each.event_name) for each in listed
            ]
            assert [each.state for each in looked] == [State.DEAD] * 3 + [State.SCHEDULED]
            found = await store.cancel([*"abcd"], within=connection)
            assert None not in found

    async def test_a_look_leaves_the_transaction_as_it_is(
        self, store: PostgresStore, place: Place, engine: AsyncEngine
    ) -> None:
        await store.put([group("a")])
        async with AsyncSession(engine) as session:
            await session.execute(text("SET TRANSACTION READ ONLY"))
            assert await store.get("a", within=session)
            assert await store.get("b", within=session) is None
            assert [each.id for each in await store.list(Filter(), within=session)] == ["a"]
            assert session.in_transaction()


class TestTransactions:
    async def test_a_session_with_work_of_its_own(
        self, store: PostgresStore, place: Place, engine: AsyncEngine
    ) -> None:
        await place.execute("CREATE TABLE {t}_orders (id text)")
        for kept in (True, False):
            async with AsyncSession(engine) as session:
                await store.put([group(f"first-{kept}")], within=session)
                await session.execute(text(f"INSERT INTO {place.table}_orders VALUES ('{kept}')"))
                await store.put([group(f"second-{kept}")], within=session)
                await (session.commit() if kept else session.rollback())
        assert await ids(store) == ["first-True", "second-True"]
        assert len(await place.fetch("SELECT * FROM {t}_orders")) == 1
        await place.execute("DROP TABLE {t}_orders")

    async def test_two_who_store_the_same_id(self, store: PostgresStore, place: Place) -> None:
        """The second one waits for the first, and its own transaction goes on."""
        async with place.connection() as one, place.connection() as two:
            first = one.transaction()
            await first.start()
            assert await store.put([group("a", "b")], within=one) == [None]
            async with two.transaction():
                waiting = asyncio.create_task(store.put([group("c"), group("b", "d")], within=two))
                await self._blocked(place)
                await first.commit()
                outcomes = await waiting
                assert outcomes[0] is None
                assert isinstance(outcomes[1], DuplicateMessage)
                assert await store.put([group("e")], within=two) == [None]
        assert await ids(store) == ["a", "b", "c", "e"]

    async def test_one_who_waits_for_what_is_rolled_back(
        self, store: PostgresStore, place: Place
    ) -> None:
        async with place.connection() as one:
            first = one.transaction()
            await first.start()
            await store.put([group("a")], within=one)
            waiting = asyncio.create_task(store.put([group("a", "b")]))
            await self._blocked(place)
            await first.rollback()
            assert await waiting == [None]
        assert await ids(store) == ["a", "b"]

    async def test_a_claim_waits_for_no_transaction(
        self, store: PostgresStore, place: Place
    ) -> None:
        """What it holds is passed over, looked for again soon, and taken once it lets go."""
        await store.put([group("a", "b", at=after(hours=-1))])
        async with place.connection() as one:
            first = one.transaction()
            await first.start()
            assert await store.cancel(["a"], within=one) == [State.SCHEDULED]
            batch = await store.claim(limit=9, lease=timedelta(minutes=1), owner="me")
            assert [each.message.id for each in batch.claims] == ["b"]
            assert not batch.more
            assert batch.next_due is not None
            assert timedelta(0) < batch.next_due - batch.now < timedelta(seconds=1)
            await first.rollback()
        batch = await store.claim(limit=9, lease=timedelta(minutes=1), owner="me")
        assert [each.message.id for each in batch.claims] == ["a"]
        assert batch.next_due is not None

    async def _blocked(self, place: Place) -> None:
        """Wait until somebody waits for another's transaction."""
        for _ in range(500):
            if await place.fetch(
                "SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) "
                "WHERE NOT l.granted AND a.datname = current_database()"
            ):
                return
            await asyncio.sleep(0.02)
        pytest.fail("nobody waits")


class TestRefused:
    @pytest.mark.parametrize("within", [object(), "connection", 1])
    async def test_no_connection(self, store: PostgresStore, within: Any) -> None:
        assert isinstance(store, SupportsTransactions)
        assert not store.accepts(within)
        with pytest.raises(InvalidArgument, match="AsyncSession or AsyncConnection"):
            await store.put([group("a")], within=within)

    async def test_what_else_there_is_to_do(self, store: PostgresStore, place: Place) -> None:
        told = f"this object: it takes an .*, or .*; .* the SQL function public.{place.table}_schedule$"
        async with duly.Client(store) as client:
            with pytest.raises(InvalidArgument, match=told):
                await client.schedule(Message("event", scheduled_at=START), within=object())

    async def test_one_of_another_event_loop(self, store: PostgresStore, place: Place) -> None:
        async def begun() -> asyncpg.Connection:
            connection = await asyncpg.connect(place.url)
            await connection.transaction().start()
            return connection

        def elsewhere() -> None:
            with asyncio.Runner() as runner:
                connection = runner.run(begun())
                for ask in (
                    lambda: store.put([group("a")], within=connection),
                    lambda: store.get("a", within=connection),
                    lambda: store.list(Filter(), within=connection),
                ):
                    asyncio.run_coroutine_threadsafe(refused(ask), loop).result()
                runner.run(connection.close())

        async def refused(ask: Callable[[], Coroutine[Any, Any, object]]) -> None:
            with pytest.raises(InvalidArgument, match="another event loop"):
                await ask()

        loop = asyncio.get_running_loop()
        await asyncio.to_thread(elsewhere)

    async def test_looking(self, store: PostgresStore, place: Place) -> None:
        """It is refused what the other verbs are refused."""
        with pytest.raises(InvalidArgument, match="AsyncSession or AsyncConnection"):
            await store.get("a", within=object())
        async with place.connection() as connection:
            with pytest.raises(InvalidArgument, match="in no transaction"):
                await store.list(Filter(), within=connection)
        with pytest.raises(InvalidArgument, match="closed"):
            await store.get("a", within=connection)

    async def test_a_closed_one(self, store: PostgresStore, place: Place) -> None:
        async with place.connection() as connection:
            pass
        with pytest.raises(InvalidArgument, match="closed"):
            await store.put([group("a")], within=connection)

    async def test_one_without_a_transaction(self, store: PostgresStore, place: Place) -> None:
        async with place.connection() as connection:
            with pytest.raises(InvalidArgument, match="in no transaction"):
                await store.put([group("a")], within=connection)
        assert await ids(store) == []

    async def test_a_closed_one_of_sqlalchemy(
        self, store: PostgresStore, engine: AsyncEngine
    ) -> None:
        async with engine.connect() as connection:
            pass
        with pytest.raises(InvalidArgument, match="closed"):
            await store.put([group("a")], within=connection)

    async def test_a_transaction_that_has_failed(self, store: PostgresStore, place: Place) -> None:
        async with place.connection() as connection:
            transaction = connection.transaction()
            await transaction.start()
            with pytest.raises(asyncpg.DivisionByZeroError):
                await connection.execute("SELECT 1 / 0")
            with pytest.raises(StoreError, match="aborted"):
                await store.put([group("a")], within=connection)
            await transaction.rollback()

    async def test_another_database(
        self, store: PostgresStore, place: Place, other_url: str
    ) -> None:
        """Though it has the same tables: nobody who works for this store would look there."""
        elsewhere = Place(other_url, table=place.table)
        async with elsewhere.opened() as other:
            async with elsewhere.connection() as connection, connection.transaction():
                for _ in range(2):
                    with pytest.raises(InvalidArgument, match="another database"):
                        await store.put([group("a")], within=connection)
                assert await other.put([group("b")], within=connection) == [None]
            assert await ids(other) == ["b"]
        assert await ids(store) == []

    async def test_a_database_without_the_tables(self, place: Place, postgres_url: str) -> None:
        other = Place(postgres_url)
        async with place.opened() as store:
            store._desk.names = other.names  # as where the connection leads somewhere else
            async with place.connection() as connection, connection.transaction():
                with pytest.raises(StoreError, match="a table is missing"):
                    await store.put([group("a")], within=connection)
                await connection.execute("SELECT 1")  # it goes on
