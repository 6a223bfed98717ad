"""The version before, on the same collection: what it wrote, and what it does to what we wrote."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.servers.mongo import lone_mongo_url, mongo_url
from tests.stores.mongo_before import (
    FIELDS,
    buried_by_it,
    in_every_state,
    moved_by_it,
    read_by_it,
    write_leases,
)
from tests.stores.mongo_kit import Shop, opened

from duly import Every, Filter, Message, State
from duly.message import UNREADABLE
from duly.record import NewerRecord
from duly.store import Batch, Bury, Counters, Group, Reschedule, Settle, Settlement
from duly_mongo.schema import INDEXES

__all__ = ["lone_mongo_url", "mongo_url"]  # fixtures are found by their names

LEASE = timedelta(minutes=5)
HOUR = timedelta(hours=1)


@pytest.fixture(params=["mongo_url", "lone_mongo_url"], ids=["replica set", "alone"])
def url(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    async with opened(url) as shop:
        yield shop


async def put(shop: Shop, id: str, **more: Any) -> Message:
    assert shop.clock is not None
    message = Message("event", b"payload", id=id, scheduled_at=shop.clock(), **more)
    assert [*await shop.store.put([Group([message])])] == [None]
    return message


async def claim(shop: Shop) -> Batch:
    return await shop.store.claim(limit=100, lease=LEASE, owner="host:1:a")


async def settle(shop: Shop, how: Settlement) -> None:
    """Claim all that is due, and settle it so."""
    batch = await claim(shop)
    outcomes = {each.key: how for each in batch.claims}
    assert outcomes
    assert [*await shop.store.settle([Settle(batch.token or "", outcomes)])] == [True]


async def found(shop: Shop, id: str) -> Message:
    message = await shop.store.get(id)
    assert message is not None
    assert message.event_name != UNREADABLE
    return message


def postponed(shop: Shop, times: int = 1) -> Reschedule:
    assert shop.clock is not None
    counters = Counters(shop.clock(), postpone_count=times, put_back=True)
    return Reschedule(shop.clock() + HOUR, counters)


async def test_what_it_left_in_every_state_goes_on(shop: Shop) -> None:
    documents = in_every_state(shop)
    await shop.messages.insert_many([*documents.values()])
    await write_leases(shop)
    store = shop.store
    listed = {each.id: each for each in await store.list(Filter())}
    assert {*listed} == {*documents}
    for id, document in documents.items():
        assert listed[id].event_name == "event"
        assert (listed[id].retry_count, listed[id].last_error) == (
            document["retry_count"], document["last_error"],
        )  # fmt: skip
        told = (listed[id].postpone_count, listed[id].died_at, listed[id].error_class)
        assert told == (0, None, None)
    assert (await store.stats()).dead == 2
    batch = await claim(shop)
    claimed = {each.message.id: each for each in batch.claims}
    assert {*claimed} == {"waiting", "retried", "series", "lapsed"}
    assert claimed["lapsed"].lapses == 1
    assert claimed["series"].message.recurrence == Every(HOUR)
    outcomes = {claimed["retried"].key: Bury("late", error_class="TimeoutError")}
    assert [*await store.settle([Settle(batch.token or "", outcomes)])] == [True]
    assert (await found(shop, "retried")).error_class == "TimeoutError"
    assert await store.reschedule("dead", None, of_state=State.DEAD) is State.DEAD
    await settle(shop, Bury("poison"))  # the suspect alone
    await settle(shop, postponed(shop))
    assert (await found(shop, "dead")).postpone_count == 1
    assert (await found(shop, "held")).state is State.CLAIMED
    assert [*await store.cancel(["held"])] == [State.CLAIMED]


async def test_a_migration_leaves_its_messages_as_they_are(shop: Shop) -> None:
    documents = in_every_state(shop)
    await shop.messages.insert_many([*documents.values()])
    await write_leases(shop)
    before = [each async for each in shop.messages.find()]
    settings = await shop.leases.find_one({"_id": "duly"})
    assert settings == {"_id": "duly", "version": 1, "usable_from": 1, "lines": True}
    later = shop.another()  # it has made all that is needed
    assert [*await later.migrate(dry_run=True)] == []
    assert [*await later.migrate()] == []
    await shop.messages.drop_indexes()  # or it has not, yet
    assert len(await later.migrate(dry_run=True)) == len(INDEXES)
    assert len(await shop.messages.index_information()) == 1
    assert len(await later.migrate()) == len(INDEXES)
    await later.open()
    await later.close()
    assert [each async for each in shop.messages.find()] == before
    assert await shop.leases.find_one({"_id": "duly"}) == settings


async def test_it_reads_all_that_needs_nothing_new(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, "buried")
    await settle(shop, Bury("broken", error_class="Rejected"))
    await put(shop, "occurrence", recurrence=Every(HOUR))
    later = Reschedule(shop.clock() + HOUR, Counters(shop.clock() + HOUR, occurrence_count=1))
    await settle(shop, Bury("broken", later, error_class="Rejected"))
    await put(shop, "retried")
    await settle(shop, Reschedule(shop.clock() + HOUR, Counters(shop.clock(), 1, 0, "broken")))
    await put(shop, "waiting")
    documents = [each async for each in shop.messages.find()]
    assert len(documents) == 5
    for document in documents:
        ours = await found(shop, document["_id"])
        assert ({*document} - FIELDS == {"fate"}) is (ours.state is State.DEAD)
        theirs = read_by_it(document)
        assert (theirs.id, theirs.delivery_id, theirs.retry_count, theirs.last_error) == (
            ours.id, ours.delivery_id, ours.retry_count, ours.last_error,
        )  # fmt: skip
        assert (theirs.next_attempt_at, theirs.recurrence) == (
            ours.next_attempt_at, ours.recurrence,
        )  # fmt: skip


async def test_it_leaves_alone_what_it_would_misread(shop: Shop) -> None:
    assert shop.clock is not None

    async def seen() -> None:
        for document in [each async for each in shop.messages.find()]:
            with pytest.raises(NewerRecord):
                read_by_it(document)

    await put(shop, "a")
    await settle(shop, postponed(shop))
    await put(shop, "jitter", recurrence=Every(HOUR, jitter=timedelta(seconds=1)))
    await seen()
    shop.clock.advance(hours=1, seconds=1)
    batch = await claim(shop)
    assert {each.message.id for each in batch.claims} == {"a", "jitter"}
    await seen()
    outcomes = {each.key: Bury("broken") for each in batch.claims if each.message.id == "a"}
    only = [*outcomes]
    assert [*await shop.store.settle([Settle(batch.token or "", outcomes, only)])] == [True]
    await seen()
    assert (await found(shop, "a")).postpone_count == 1


async def test_a_death_is_over_when_it_replays_a_message(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, "a")
    await settle(shop, Bury("broken", error_class="Rejected"))
    died = await found(shop, "a")
    assert (died.died_at, died.error_class) == (shop.clock(), "Rejected")
    shop.clock.advance(hours=1)
    await moved_by_it(shop, "a")
    waits = await found(shop, "a")
    assert (waits.state, waits.died_at, waits.error_class) == (State.SCHEDULED, None, None)
    await claim(shop)
    await buried_by_it(shop, "a")
    again = await found(shop, "a")
    assert (again.state, again.last_error) == (State.DEAD, "by it")
    assert (again.died_at, again.error_class) == (None, None)
    await moved_by_it(shop, "a")
    await settle(shop, Bury("broken"))
    last = await found(shop, "a")
    assert (last.died_at, last.error_class) == (shop.clock(), None)


async def test_counts_are_over_when_it_moves_a_message(shop: Shop) -> None:
    await put(shop, "a")
    await settle(shop, postponed(shop, 3))
    await moved_by_it(shop, "a")
    moved = await found(shop, "a")
    assert (moved.postpone_count, moved._put_back) == (0, False)
    await settle(shop, Bury("broken"))
    assert (await found(shop, "a")).postpone_count == 0
