"""Behind a transaction pooler: it is found out, nothing of a session is used, and it is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from tests.servers.pgbouncer import PgBouncer
from tests.stores.postgres_kit import Place, place

import duly
from duly import Ensured, Every, Filter, Message, State, after
from duly.store import Declared, Group, HeldUp, Settle
from duly_postgres import PostgresStore
from duly_postgres.plugin import store_from_url

__all__ = ["place"]

EVERY = Every(timedelta(hours=1))


@pytest.fixture
def pooler(place: Place) -> Iterator[PgBouncer]:
    with PgBouncer(place.url) as pooler:
        yield pooler


@pytest.fixture
async def store(place: Place, pooler: PgBouncer) -> AsyncIterator[PostgresStore]:
    store = store_from_url(f"{pooler.url}?table={place.table}")
    await store.open()
    yield store
    await store.close()


async def test_every_verb_while_servers_change(place: Place, pooler: PgBouncer) -> None:
    """Many clients share three connections, which each of their transactions finds anew."""

    async def live(number: int) -> None:
        store = store_from_url(f"{pooler.url}?table={place.table}")
        await store.open()
        for turn in range(5):
            a, b = f"{number}-{turn}-a", f"{number}-{turn}-b"
            messages = [Message("event", id=id, scheduled_at=after(days=1)) for id in (a, b)]
            assert await store.put([Group(messages)]) == [None]
            assert await store.put([Group(messages, replace=True)]) == [None]
            assert await store.reschedule(a, after(days=2), of_state=State.SCHEDULED)
            assert await store.cancel([b]) == [State.SCHEDULED]
            assert (await store.get(a)) is not None
            await store.list(Filter(event_name="event", limit=3))
            await store.stats()
            series = Message("event", b"%d" % turn, id=f"{number}-series", recurrence=EVERY)
            outcome = Ensured.CHANGED if turn else Ensured.STORED
            assert await store.ensure([series], declared=Declared("all", 1)) == [outcome]
            assert await store.ensure([series]) == [Ensured.SAME]
        await store.close()

    await asyncio.gather(*(live(number) for number in range(8)))
    async with place.opened() as direct:
        assert (await direct.stats()).scheduled == 48
        assert len(await direct.undeclare("all", 2)) == 8


async def test_claims_leases_and_settles(store: PostgresStore) -> None:
    messages = [Message("event", id=f"m{n}", scheduled_at=after(seconds=-1)) for n in range(9)]
    await store.put([Group(messages)])
    first = await store.claim(limit=5, lease=timedelta(minutes=1), owner="me")
    assert first.token is not None
    assert await store.renew([first.token], timedelta(minutes=1)) == [[]]
    second = await store.claim(
        limit=5, lease=timedelta(minutes=1), owner="me", settle=[Settle(first.token)]
    )
    assert second.settled == [True]
    assert second.token is not None
    assert await store.settle([Settle(second.token)]) == [True]
    assert await store.list(Filter()) == []


async def test_it_is_told(store: PostgresStore) -> None:
    assert any("transaction pooler" in reason for reason in await store.check())


async def test_health_is_degraded(place: Place, pooler: PgBouncer) -> None:
    async with duly.Client(f"{pooler.url}?table={place.table}") as client:
        health = await client.health()
    assert health.status is duly.Status.DEGRADED
    assert "pooler" in health.reason


async def test_not_told_where_there_is_none(place: Place) -> None:
    async with place.opened() as direct:
        assert not [reason for reason in await direct.check() if "pooler" in reason]


async def test_nothing_is_left_on_the_servers(place: Place, pooler: PgBouncer) -> None:
    """Neither prepared statements nor settings nor ears, for those who get the connection next."""
    store = store_from_url(f"{pooler.url}?table={place.table}")
    await store.open()
    await store.put([Group([Message("event", scheduled_at=after())])])
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(store.wait_for_change(), 0.2)
    await store.claim(limit=5, lease=timedelta(minutes=1), owner="me")
    await store.close()
    others = await asyncio.gather(
        *(asyncpg.connect(pooler.url, statement_cache_size=0) for _ in range(3))
    )
    for other in others:
        transaction = other.transaction()
        await transaction.start()
        left = await other.fetchrow(
            "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') AS prepared, "
            "current_setting('enable_seqscan') AS seqscan, "
            "(SELECT count(*) FROM pg_listening_channels()) AS heard, "
            "current_setting('statement_timeout') AS statement, "
            "current_setting('lock_timeout') AS lock"
        )
        assert tuple(left) == (0, "on", 0, "0", "0")
    for other in others:
        await other.close()


async def test_limits_are_those_of_each_transaction(
    place: Place, pooler: PgBouncer, store: PostgresStore
) -> None:
    limited = store_from_url(f"{pooler.url}?table={place.table}")
    limited.time_limit = timedelta(seconds=0.5)
    await limited.open()
    async with place.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(f"LOCK TABLE {place.table} IN EXCLUSIVE MODE")
        message = Message("event", id="a", scheduled_at=after(days=1))
        (outcome,) = await limited.put([Group([message], replace=True)])
        assert isinstance(outcome, HeldUp)
        await transaction.rollback()
    assert await limited.put([Group([message], replace=True)]) == [None]
    await limited.close()


async def test_others_are_woken_by_what_comes_through_it(
    place: Place, store: PostgresStore
) -> None:
    async with place.opened() as direct:
        for _ in range(2):  # the first ends when it has begun to listen
            waiting = asyncio.create_task(direct.wait_for_change())
            await asyncio.sleep(0.3)
            await store.put([Group([Message("event", scheduled_at=after())])])
            await asyncio.wait_for(waiting, 10)


async def test_an_engine_of_the_users_own(place: Place, pooler: PgBouncer) -> None:
    """Made as SQLAlchemy says it must be for a pooler; the store does not mind the other way."""
    engine = create_async_engine(
        pooler.url.replace("postgresql:", "postgresql+asyncpg:"),
        connect_args={"prepared_statement_name_func": str, "prepared_statement_cache_size": 0},
    )
    store = PostgresStore(engine, table=place.table)
    await store.open()
    for _ in range(3):
        await asyncio.gather(
            *(store.put([Group([Message("event", scheduled_at=after())])]) for _ in range(6))
        )
    async with engine.begin() as connection:
        message = Message("event", scheduled_at=after())
        assert await store.put([Group([message])], within=connection) == [None]
    assert (await store.stats()).scheduled == 19
    await store.close()
    await engine.dispose()


async def test_a_scheduler_delivers(place: Place, pooler: PgBouncer) -> None:
    arrived: set[str] = set()
    done = asyncio.Event()

    async def handle(envelope: duly.Envelope) -> None:
        arrived.add(envelope.message_id)
        if len(arrived) == 50:
            done.set()

    url = f"{pooler.url}?table={place.table}"
    async with duly.Scheduler(url, handle) as scheduler, scheduler.running():
        await scheduler.schedule_many(
            [Message("event", scheduled_at=after(milliseconds=n)) for n in range(50)]
        )
        await asyncio.wait_for(done.wait(), 20)
