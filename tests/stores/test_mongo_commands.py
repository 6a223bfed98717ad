"""What the MongoDB store asks of its server: how often, and what never."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import Shop, opened, parts

from duly import Every, Filter, Message, State
from duly.store import (
    Batch,
    Bury,
    Counters,
    Declared,
    Group,
    Key,
    Release,
    Reschedule,
    Settle,
    Settlement,
)  # fmt: skip
from duly_mongo.schema import INDEXES

__all__ = ["mongo_url"]  # fixtures are found by their names

LEASE = timedelta(minutes=5)


@pytest.fixture
async def shop(mongo_url: str) -> AsyncIterator[Shop]:
    async with opened(mongo_url) as shop:
        yield shop


async def put(shop: Shop, count: int, prefix: str = "m", **more: Any) -> None:
    assert shop.clock is not None
    messages = [
        Message("event", b"x" * 100, id=f"{prefix}{each}", scheduled_at=shop.clock(), **more)
        for each in range(count)
    ]
    assert [*await shop.store.put([Group([each]) for each in messages])] == [None] * count


async def claim(shop: Shop, limit: int = 1000, **more: Any) -> Batch:
    return await shop.store.claim(limit=limit, lease=LEASE, owner="host:1:a", **more)


def again(message: Message) -> Reschedule:
    at = message.scheduled_at + timedelta(hours=1)
    return Reschedule(at, Counters(message.scheduled_at, message.retry_count + 1))


def following(message: Message) -> Reschedule:
    at = message.scheduled_at + timedelta(hours=1)
    return Reschedule(at, Counters(at, occurrence_count=message.occurrence_count + 1))


@pytest.mark.parametrize("count", [1, 150])
async def test_a_batch_costs_the_same_however_large(shop: Shop, count: int) -> None:
    await claim(shop)  # the first of a store also looks for what is in hand without a lease
    shop.asked.take()
    await put(shop, count)
    assert shop.asked.take() == ["insert"]
    batch = await claim(shop)
    assert len(batch.claims) == count
    assert shop.asked.take() == ["aggregate", "insert", "update"]
    await put(shop, count, "next")
    shop.asked.take()
    batch = await claim(shop, settle=[Settle(batch.token or "")])
    assert (len(batch.claims), batch.settled) == (count, [True])
    assert shop.asked.take() == [
        "update", "delete", "delete",  # hold of the lease, the messages, the lease
        "aggregate", "insert", "update",
    ]  # fmt: skip
    await shop.store.renew([batch.token or ""], LEASE)
    assert shop.asked.take() == ["find", "update", "find"]
    assert (await claim(shop)).claims == ()
    assert shop.asked.take() == ["aggregate"]


@pytest.mark.parametrize("count", [1, 50])
async def test_exceptions_cost_the_same_however_many(shop: Shop, count: int) -> None:
    await put(shop, 3 * count)
    batch = await claim(shop)
    outcomes = {
        each.key: again(each.message) if number % 3 else Release(batch.now)
        for number, each in enumerate(batch.claims)
        if number % 3 < 2
    }
    half = [each.key for each in batch.claims[::2]]
    early = {key: each for key, each in outcomes.items() if key in half}
    shop.asked.take()
    assert [*await shop.store.settle([Settle(batch.token or "", early, half)])] == [True]
    assert shop.asked.take() == ["update", "update", "delete", "update"]
    rest = {key: each for key, each in outcomes.items() if key not in half}
    assert [*await shop.store.settle([Settle(batch.token or "", rest)])] == [True]
    assert shop.asked.take() == ["update", "update", "delete", "delete"]


@pytest.mark.parametrize("count", [1, 20])
async def test_burials_cost_the_same_however_many(shop: Shop, count: int) -> None:
    await put(shop, count, recurrence=Every(timedelta(hours=1)))
    batch = await claim(shop)
    outcomes = {each.key: Bury("broken", again(each.message)) for each in batch.claims}
    shop.asked.take()
    assert [*await shop.store.settle([Settle(batch.token or "", outcomes)])] == [True]
    assert shop.asked.take() == [
        "findAndModify", "find", "find", "insert", "update", "delete", "delete",
        "commitTransaction",
    ]  # fmt: skip


async def test_what_a_caller_costs(shop: Shop) -> None:
    assert shop.clock is not None
    store, hour = shop.store, shop.clock() + timedelta(hours=1)
    group = [Message("event", id=f"g{each}", scheduled_at=hour) for each in range(200)]
    assert [*await store.put([Group(group)])] == [None]
    assert shop.asked.take() == ["find", "insert", "commitTransaction"]
    assert [*await store.put([Group([each], replace=True) for each in group[:20]])] == [None] * 20
    assert shop.asked.take() == ["find"]  # a repeat
    anew = [Message("event", id=f"g{each}", scheduled_at=hour) for each in range(20)]
    assert [*await store.put([Group([each], replace=True) for each in anew])] == [None] * 20
    assert shop.asked.take() == ["find", "update"]
    assert [*await store.cancel(["g0"])] == [State.SCHEDULED]
    assert shop.asked.take() == ["findAndModify"]
    assert {*await store.cancel([each.id for each in group[1:50]])} == {State.SCHEDULED}
    assert shop.asked.take() == ["find", "delete", "commitTransaction"]
    assert await store.reschedule("g60", hour, of_state=State.SCHEDULED)
    assert shop.asked.take() == ["find", "update"]
    assert len(await store.list(Filter(limit=120))) == 120
    assert shop.asked.take() == ["find"]


@pytest.mark.parametrize("count", [1, 50])
async def test_what_a_service_costs_that_declares(shop: Shop, count: int) -> None:
    assert shop.clock is not None
    store, hour = shop.store, timedelta(hours=1)

    def series(payload: bytes = b"one", every: int = 1) -> list[Message]:
        rule = Every(every * hour)
        return [Message("event", payload, id=f"s{n}", recurrence=rule) for n in range(count)]

    async def declare(wanted: list[Message], generation: int) -> None:
        await store.ensure(wanted, declared=Declared("billing", generation))
        await store.undeclare("billing", generation)

    await declare(series(), 1)
    assert shop.asked.take() == ["update", "find", "aggregate", "insert", "find", "find"]
    await declare(series(), 1)  # another instance, or the next start
    assert shop.asked.take() == ["update", "find", "aggregate", "find"]
    await declare(series(), 2)
    assert shop.asked.take() == ["update", "find", "aggregate", "update", "find"]
    await declare(series(b"two"), 2)
    assert shop.asked.take() == ["update", "find", "aggregate", *["update"] * count, "find"]
    shop.clock.advance(hours=1)
    batch = await claim(shop)
    await declare(series(b"two", every=2), 2)
    shop.asked.take()
    outcomes = {each.key: following(each.message) for each in batch.claims}
    assert [*await store.settle([Settle(batch.token or "", outcomes)])] == [True]
    assert shop.asked.take() == ["update", "update", "find", "update", "delete", "delete"]
    found = await store.list(Filter())
    assert {each.recurrence for each in found} == {Every(2 * hour)}


async def test_nothing_is_asked_that_some_servers_answer_wrongly(shop: Shop) -> None:
    """Two faults of SecantusDB, avoided at no cost elsewhere.

    What is equal to the bound of ``$lte`` is missed where the index goes on behind that key, and a
    partial index is used for queries that do not set its leading key.
    """
    assert shop.clock is not None
    store = shop.store
    await put(shop, 6)
    batch = await claim(shop, 4)
    keys = [each.key for each in batch.claims]
    outcomes: dict[Key, Settlement] = {
        keys[0]: again(batch.claims[0].message),
        keys[1]: Bury("broken"),
    }
    await store.settle([Settle(batch.token or "", outcomes, keys[:3])])
    await store.renew([batch.token or ""], LEASE)
    now = shop.clock()
    for state in (None, *State):
        for name in (None, "event", "duly.unreadable"):
            await store.list(Filter(state=state, event_name=name, before=now, after=now))
            await store.list(Filter(state=state, event_name=name), from_key=(now, "m1"))
    await store.stats()
    await store.reschedule("m1", None, of_state=State.DEAD)
    await store.put([Group([Message("event", id="m1", scheduled_at=now)], replace=True)])
    await store.cancel(["m1", "m2", "m5"])
    series = Message("event", id="s", recurrence=Every(timedelta(hours=1)))
    await store.ensure([series], declared=Declared("billing", 1))
    assert await store.undeclare("billing", 2) == [("s", State.SCHEDULED)]
    shop.clock.advance(hours=1)
    await put(shop, 3, "n")
    assert (await claim(shop, 1, most={"event": 0})).moved
    assert (await claim(shop, 1, most={"other": 0})).claims
    await claim(shop)
    asked = shop.asked.commands
    assert {"aggregate", "find", "insert", "update", "delete"} <= {
        next(iter(each)) for each in asked
    }
    assert not [each for each in asked if "$lte" in dict(parts(each))]
    made = await shop.messages.index_information()
    assert {*made} == {"_id_", *INDEXES}
    for index in made.values():
        assert "partialFilterExpression" not in index
    # The key that is searched by range is the last one.
    assert {index["key"][-1][0] for index in made.values()} == {
        "_id", "due", "place", "dead", "token", "declared_by", "aside.due", "recurrence",
    }  # fmt: skip


async def test_what_is_due_this_very_moment_is_found_by_every_query(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, 3)
    now = shop.clock()
    for filter in (
        Filter(before=now, after=now),
        Filter(event_name="event", before=now, after=now),
        Filter(event_name="event", state=State.SCHEDULED, before=now),
    ):
        assert [each.id for each in await shop.store.list(filter)] == ["m0", "m1", "m2"]
    assert (await shop.store.stats()).oldest_due == now
    assert len((await claim(shop)).claims) == 3
