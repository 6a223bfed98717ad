"""How deaths and postponed messages are kept, and messages that are stored as they are."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from tests.servers.mongo import lone_mongo_url, mongo_url
from tests.stores.mongo_kit import COLLECTION, DATABASE, Shop, opened

from duly import DuplicateMessage, Every, Filter, Message, State
from duly.message import UNREADABLE, with_changes
from duly.moment import from_microseconds, to_microseconds
from duly.store import Bury, Counters, Group, Reschedule, Settle, Settlement
from duly_mongo import MongoStore
from duly_mongo.handles import resolve

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


def due(shop: Shop, id: str, **more: Any) -> Message:
    assert shop.clock is not None
    return Message("event", b"payload", id=id, scheduled_at=shop.clock(), **more)


async def settle(store: MongoStore, how: Settlement) -> None:
    """Claim all that is due, and settle it so."""
    batch = await store.claim(limit=100, lease=LEASE, owner="host:1:a")
    outcomes = {each.key: how for each in batch.claims}
    assert outcomes
    assert [*await store.settle([Settle(batch.token or "", outcomes)])] == [True]


async def test_the_fields_of_a_fate(shop: Shop) -> None:
    assert shop.clock is not None
    message = due(shop, "a")
    await shop.store.put([Group([message])])
    document = await shop.messages.find_one()
    plain, key = {*document}, document["key"]
    assert "fate" not in document
    counters = Counters(message.scheduled_at, postpone_count=2, put_back=True)
    await settle(shop.store, Reschedule(shop.clock(), counters))
    document = await shop.messages.find_one()
    assert {*document} == plain | {"fate"}
    assert document["fate"] == {"key": key, "postpone_count": 2, "put_back": True}
    assert document["format"] == 2
    await settle(shop.store, Reschedule(shop.clock(), Counters(message.scheduled_at)))
    assert {*await shop.messages.find_one()} == plain
    shop.clock.advance(microseconds=1234)
    await settle(shop.store, Bury("broken", error_class="$Rejected"))
    document = await shop.messages.find_one()
    died = shop.clock()
    assert document["fate"] == {
        "key": key,
        "died_at": died.replace(microsecond=1000, tzinfo=None),
        "died_at_us": to_microseconds(died),
        "error_class": "$Rejected",
    }
    await shop.store.reschedule("a", None, of_state=State.DEAD)
    assert {*await shop.messages.find_one()} == plain


DAMAGE: dict[str, Any] = {
    "a text": "sealed",
    "a list": [],
    "nothing": None,
    "a count": {"postpone_count": "often"},
    "a moment": {"died_at_us": 1.5},
    "a moment far away": {"died_at_us": 2**62},
    "a class": {"error_class": 7},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_fate(shop: Shop, damage: Any) -> None:
    await shop.store.put([Group([due(shop, "a")]), Group([due(shop, "b")])])
    if isinstance(damage, dict):
        damage |= {"key": (await shop.messages.find_one({"_id": "a"}))["key"]}
    await shop.messages.update_one({"_id": "a"}, {"$set": {"fate": damage}})
    batch = await shop.store.claim(limit=10, lease=LEASE, owner="host:1:a")
    assert [each.message.id for each in batch.claims] == ["b"]
    (letter,) = batch.unreadable
    assert (letter.id, letter.event_name, letter.state) == ("a", UNREADABLE, State.DEAD)
    assert [*await shop.store.list(Filter(state=State.DEAD))] == [letter]


@pytest.mark.parametrize(
    "connect", [AsyncIOMotorClient, AsyncMongoClient], ids=["Motor", "PyMongo"]
)
async def test_a_death_is_told_by_the_clock_of_the_server(url: str, connect: Any) -> None:
    async with opened(url, by_hand=False):
        client = connect(url)
        store = MongoStore(client[DATABASE], collection=COLLECTION)
        await store.open()
        at = datetime.now(UTC) - timedelta(seconds=1)
        series = Message("event", id="series", scheduled_at=at, recurrence=Every(HOUR))
        await store.put([Group([series]), Group([Message("event", id="a", scheduled_at=at)])])
        before = datetime.now(UTC)
        await settle(store, Bury("broken", error_class="Rejected"))
        after = datetime.now(UTC)
        letters = [*await store.list(Filter(state=State.DEAD))]
        assert {each.id for each in letters} == {"a", series.delivery_id}
        (died,) = {each.died_at for each in letters}
        assert died is not None
        assert before - timedelta(milliseconds=1) <= died <= after
        assert {each.error_class for each in letters} == {"Rejected"}
        await store.close()
        await resolve(client.close())


def as_they_are(shop: Shop) -> list[Message]:
    """A dead letter, a postponed message and a retried one, as another store had them."""
    assert shop.clock is not None
    now = shop.clock()
    return [
        with_changes(
            due(shop, "dead"), state=State.DEAD, last_error="broken", retry_count=3,
            error_class="Rejected", died_at=now - HOUR,
        ),
        with_changes(
            due(shop, "postponed"), postpone_count=1, next_attempt_at=now + 2 * HOUR,
        ),
        with_changes(
            due(shop, "retried"), retry_count=1, last_error="broken", next_attempt_at=now + HOUR,
        ),
    ]  # fmt: skip


async def test_single_messages_are_stored_as_they_are_among_others(shop: Shop) -> None:
    """Each by itself, as a store without transactions must have them."""
    assert shop.clock is not None
    moved = as_they_are(shop)
    taken, new = due(shop, "taken"), with_changes(due(shop, "new"), retry_count=5)
    assert [*await shop.store.put([Group([taken])])] == [None]
    groups = [*(Group([each], as_is=True) for each in moved), Group([new])]
    groups.append(Group([with_changes(due(shop, "taken"), state=State.DEAD)], as_is=True))
    outcomes = [*await shop.store.put(groups)]
    assert [type(each) for each in outcomes] == [type(None)] * 4 + [DuplicateMessage]
    assert [*await shop.store.put(groups[:4])] == [None] * 4  # repeats
    stored = {each.id: each for each in await shop.store.list(Filter())}
    expected = [*moved, with_changes(new, retry_count=0), taken]
    assert stored == {each.id: each for each in expected}
    assert stored["dead"].died_at == shop.clock() - HOUR
    async for each in shop.messages.find():
        assert each["format"] == (2 if each["_id"] == "postponed" else 1)
        assert ("dead" in each) == (each["_id"] == "dead")
    for id, wait in {"retried": HOUR, "postponed": HOUR}.items():
        batch = await shop.store.claim(limit=10, lease=HOUR / 2, owner="host:1:a")
        await shop.store.settle([Settle(batch.token or "")])
        assert batch.next_due == stored[id].next_attempt_at
        shop.clock.advance(wait)
    batch = await shop.store.claim(limit=10, lease=HOUR, owner="host:1:a")
    assert [each.message.id for each in batch.claims] == ["postponed"]


async def test_they_replace_others(shop: Shop) -> None:
    moved = as_they_are(shop)
    await shop.store.put([Group([due(shop, each.id)]) for each in moved])
    batch = await shop.store.claim(limit=1, lease=LEASE, owner="host:1:a")
    plain = due(shop, "plain")
    groups = [Group([each], replace=True, as_is=True) for each in moved]
    groups.append(Group([plain], replace=True))
    assert [*await shop.store.put(groups)] == [None] * 4
    assert {each.id: each for each in await shop.store.list(Filter())} == {
        each.id: each for each in [*moved, plain]
    }
    (gone,) = await shop.store.renew([batch.token or ""], LEASE)
    assert gone == {batch.claims[0].key}


async def test_what_another_store_could_not_read_is_listed_as_such(shop: Shop) -> None:
    assert shop.clock is not None
    await shop.messages.insert_one({"_id": "x", "status": "scheduled", "due": "", "payload": b"?"})
    batch = await shop.store.claim(limit=1, lease=LEASE, owner="host:1:a")
    (letter,) = batch.unreadable
    assert [*await shop.store.cancel([letter.id])] == [State.DEAD]
    assert [*await shop.store.put([Group([letter], as_is=True)])] == [None]
    assert [*await shop.store.list(Filter(event_name=UNREADABLE))] == [letter]
    assert from_microseconds(0) == letter.created_at
