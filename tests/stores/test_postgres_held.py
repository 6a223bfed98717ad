"""What others hold, and for how long the store waits for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from tests.stores.postgres_kit import Place, due, group, place

import duly
from duly import Every, Message, State, StoreUnavailable
from duly.record import occurrence
from duly.store import Batch, Bury, Group, HeldUp, Settle
from duly_postgres import PostgresStore, connections, desk, leases
from duly_postgres.notes import Lapse, read

__all__ = ["place"]

MINUTE = timedelta(minutes=1)
HOLD = "SELECT FROM {t} WHERE id IN ('a', 's') FOR UPDATE"
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BRIEF", "BRIEF"):
        monkeypatch.setattr(desk, name, timedelta(milliseconds=20))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


@asynccontextmanager
async def transaction(place: Place, statement: str) -> AsyncIterator[None]:
    """Somebody's transaction, which has executed a statement and stays open for the block."""
    async with place.connection() as connection, connection.transaction():
        await connection.execute(statement.replace("{t}", place.table))
        yield


async def until_active(place: Place, what: str, *, there: bool) -> None:
    """Wait until some backend does something, or none does."""
    for _ in range(1000):
        rows = await place.fetch(
            "SELECT FROM pg_stat_activity WHERE query LIKE $1 AND state = 'active' "
            "AND datname = current_database() AND pid <> pg_backend_pid()",
            what,
        )
        if bool(rows) == there:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{what} is {'not ' if there else ''}there")


async def claim(store: PostgresStore) -> Batch:
    return await store.claim(limit=9, lease=MINUTE, owner="me")


class TestPast:
    async def test_a_batch_that_is_not_wanted(self, store: PostgresStore, place: Place) -> None:
        await store.put([due("a", "b")])
        batch = await claim(store)
        async with transaction(place, HOLD):
            await store._desk.schedulers.run(
                lambda db: leases.give_back(db, place.names, None, batch.token)
            )
            assert [each.message.id for each in (await claim(store)).claims] == ["b"]
        found = (await claim(store)).claims
        assert [(each.message.id, each.lapses) for each in found] == [("a", 0)]

    async def test_what_cannot_be_read(self, store: PostgresStore, place: Place) -> None:
        await store.put([due("a", "b")])
        await place.execute("UPDATE {t} SET metadata = '\\x80' WHERE id = 'a'")
        async with transaction(place, HOLD):
            assert [each.message.id for each in (await claim(store)).claims] == ["b"]
        assert not (await claim(store)).claims
        assert (await store.stats()).dead == 1

    async def test_an_occurrence_whose_id_somebody_is_storing(
        self, store: PostgresStore, place: Place
    ) -> None:
        """It was to be buried while its series was held, and then its name was."""
        every = Every(MINUTE)
        await store.put([Group([Message("e", id="s", recurrence=every, scheduled_at=START)])])
        (one,) = (batch := await claim(store)).claims
        assert batch.token is not None
        buried = occurrence(one.message, "broken")
        async with transaction(place, HOLD):
            assert await store.settle([Settle(batch.token, {one.key: Bury("broken")})]) == [True]
        async with place.connection() as connection, connection.transaction():
            await store.put([group(buried.id)], within=connection)
            await store.put([due("a")])
            assert [each.message.id for each in (await claim(store)).claims] == ["a"]
        await claim(store)
        assert (await store.stats()).dead == 1
        assert await store.get(f"{buried.id}+") is not None

    async def test_a_lease_that_lapses_while_it_is_settled(
        self, store: PostgresStore, place: Place
    ) -> None:
        """It was valid when that began."""
        await store.put(
            [Group([Message("e", id="s", recurrence=Every(MINUTE), scheduled_at=START)])]
        )
        batch = await store.claim(limit=9, lease=timedelta(seconds=1), owner="me")
        (one,) = batch.claims
        assert batch.token is not None
        async with place.connection() as connection:
            await connection.execute("BEGIN")
            await store.put([group(occurrence(one.message, "x").id)], within=connection)
            settle = Settle(batch.token, {one.key: Bury("x")})
            settling = asyncio.create_task(store.settle([settle]))
            await asyncio.sleep(1.1)  # it waits for the id of the dead letter
            await connection.execute("ROLLBACK")
        assert await settling == [True]
        assert await store.get("s") is None

    @pytest.mark.parametrize("note", ["", "[]", "{}", '{"as": "newer"}', '{"as": "released"}'])
    async def test_a_note_that_nobody_can_read_is_a_lapse(self, note: str) -> None:
        assert isinstance(read(note), Lapse)

    async def test_it_is_looked_after_soon(self, store: PostgresStore, place: Place) -> None:
        await store.put([due("a")])
        batch = await claim(store)
        assert batch.token is not None
        async with transaction(place, HOLD):
            assert await store.settle([Settle(batch.token)]) == [True]
            found = await claim(store)
            assert found.next_due is not None
            assert found.next_due - found.now <= timedelta(seconds=1)
        assert await store.settle([]) == []
        assert await store.settle([Settle("another")]) == [False]
        assert await store.list(duly.Filter()) == []


class TestLimits:
    async def test_a_scheduler_waits_for_a_table(self, store: PostgresStore, place: Place) -> None:
        """As for an index that is made: it is no outage."""
        await store.put([due("a")])
        async with transaction(place, "LOCK TABLE {t}_leases IN EXCLUSIVE MODE"):
            claiming = asyncio.create_task(claim(store))
            await asyncio.sleep(0.2)
            assert not claiming.done()
        assert [each.message.id for each in (await claiming).claims] == ["a"]

    async def test_a_caller_hears_before_its_time_is_over(self, place: Place) -> None:
        timeout = timedelta(seconds=4)
        async with duly.Client(f"{place.url}?table={place.table}", store_timeout=timeout) as client:
            async with transaction(place, "LOCK TABLE {t} IN EXCLUSIVE MODE"):
                with pytest.raises(StoreUnavailable, match="another transaction holds"):
                    await client.schedule(Message("e", scheduled_at=duly.after()))
            assert await client.schedule(Message("e", scheduled_at=duly.after()))

    async def test_those_who_wait_for_ever(self, place: Place) -> None:
        store = place.store()
        store.time_limit = timedelta.max
        await store.open()
        assert await store.put([due("a")]) == [None]
        assert len((await claim(store)).claims) == 1
        await store.close()

    async def test_a_statement_that_takes_too_long(self, place: Place) -> None:
        store = place.store()
        store.time_limit = timedelta(seconds=0.5)
        await store.open()
        with pytest.raises(StoreUnavailable, match="took too long"):
            await store._desk.callers.run(lambda db: db.fetch("SELECT pg_sleep(60)"))
        await store.close()

    async def test_what_nobody_waits_for_is_ended_on_the_server(
        self, store: PostgresStore, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connections, "_GRACE", 0.05)
        sleeping = asyncio.create_task(
            store._desk.callers.run(lambda db: db.fetch("SELECT pg_sleep(600)"))
        )
        await until_active(place, "SELECT pg_sleep(600)", there=True)
        sleeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sleeping
        await until_active(place, "SELECT pg_sleep(600)", there=False)
        assert await store.put([due("a")]) == [None]


async def test_a_scheduler_goes_on_while_a_transaction_stays_open(place: Place) -> None:
    """One who has cancelled what is in flight, and rolls back in the end."""
    arrived = dict[str, asyncio.Event]()
    gate = asyncio.Event()

    async def publish(envelope: duly.Envelope) -> None:
        arrived.setdefault(envelope.message_id, asyncio.Event()).set()
        if envelope.message_id == "held":
            gate.set()
            await ending.wait()

    ending, url = asyncio.Event(), f"{place.url}?table={place.table}"
    async with duly.Scheduler(url, publish) as scheduler, scheduler.running():
        await scheduler.schedule(Message("e", id="held", scheduled_at=duly.after()))
        await asyncio.wait_for(gate.wait(), 20)
        async with place.connection() as connection:
            mine = connection.transaction()
            await mine.start()
            assert not await scheduler.cancel("held", within=connection)
            ending.set()
            for number in range(10):
                id = f"m{number}"
                arrived[id] = asyncio.Event()
                await scheduler.schedule(Message("e", id=id, scheduled_at=duly.after()))
                await asyncio.wait_for(arrived[id].wait(), 20)
            assert (await scheduler.get("held")).state is State.CLAIMED
            await mine.rollback()
        for _ in range(500):
            if not await scheduler.list():
                break
            await asyncio.sleep(0.02)
        assert await scheduler.list() == []


async def test_many_that_are_held_keep_nobody_else_waiting(place: Place) -> None:
    """Not those of the same call, nor other verbs, though more wait than there are connections."""
    ids = [f"held {number}" for number in range(40)]
    client = duly.Client(f"{place.url}?table={place.table}", store_timeout=timedelta(seconds=8))

    def new(id: str) -> Message:
        return Message("e", id=id, scheduled_at=duly.after(hours=1))

    async with client, place.connection() as connection:
        mine = connection.transaction()
        await mine.start()
        await client.schedule_many(map(new, ids), within=connection)
        free = [f"free {number}" for number in range(60)]
        with pytest.raises(duly.PartlyScheduled) as told:
            await client.schedule_many(map(new, [*ids, *free]), atomic=False)
        assert list(told.value.stored_ids) == free
        asking = [
            asyncio.ensure_future(call)
            for id in ids
            for call in (client.schedule(new(id)), client.cancel(id, missing_ok=True))
        ]
        await asyncio.wait_for(client.schedule(new("another")), 5)
        await mine.rollback()
        outcomes = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(each, str | duly.Cancellation) for each in outcomes), outcomes


async def test_a_lock_on_the_table_is_waited_for_once(place: Place) -> None:
    groups = [group(f"m{number}") for number in range(500)]
    async with place.opened() as store:
        async with transaction(place, "LOCK TABLE {t} IN EXCLUSIVE MODE"):
            outcomes = await asyncio.wait_for(store.put(groups), 5)
            assert all(isinstance(each, HeldUp) for each in outcomes)
        assert list(await store.put(groups)) == [None] * 500
