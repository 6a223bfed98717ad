"""What stands in MongoDB's collections, and documents there that are none of ours."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest
from bson import ObjectId
from bson.binary import Binary
from bson.regex import Regex
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import Shop, opened

import duly
from duly import Every, Filter, Message, State
from duly.message import UNREADABLE
from duly.store import Batch, Bury, Group

__all__ = ["mongo_url"]  # fixtures are found by their names

LEASE = timedelta(minutes=5)


@pytest.fixture
async def shop(mongo_url: str) -> AsyncIterator[Shop]:
    async with opened(mongo_url) as shop:
        yield shop


async def put(shop: Shop, *messages: Message) -> None:
    assert [*await shop.store.put([Group([each]) for each in messages])] == [None] * len(messages)


async def claim(shop: Shop, limit: int = 100) -> Batch:
    return await shop.store.claim(limit=limit, lease=LEASE, owner="host:1:a")


def due(shop: Shop, id: str, **more: Any) -> Message:
    assert shop.clock is not None
    return Message("event", b"payload", id=id, scheduled_at=shop.clock(), **more)


async def test_the_fields_of_a_message(shop: Shop) -> None:
    moment = datetime(2030, 5, 17, 12, 30, 15, 123_456, tzinfo=UTC)
    message = Message(
        "orders.reminder", b"\x00\xff", id="order-17", scheduled_at=moment,
        created_at=moment - timedelta(days=1), metadata={"tenant": "a.b", "$x": "1"},
    )  # fmt: skip
    await put(shop, message)
    document = await shop.messages.find_one({"_id": "order-17"})
    key = document.pop("key")
    assert len(key) == 24
    assert document == {
        "_id": "order-17",
        "event_name": "orders.reminder",
        "payload": b"\x00\xff",
        "metadata": '{"tenant":"a.b","$x":"1"}',
        "scheduled_at": moment.replace(microsecond=123_000, tzinfo=None),
        "scheduled_at_us": 1905251415123456,
        "created_at": (moment - timedelta(days=1)).replace(microsecond=123_000, tzinfo=None),
        "created_at_us": 1905165015123456,
        "next_attempt_at": moment.replace(microsecond=123_000, tzinfo=None),
        "next_attempt_at_us": 1905251415123456,
        "status": "scheduled",
        "due": f"2001905251415123456-{key}",
        "place": "2001905251415123456-order-17",
        "lapses": 0,
        "format": 1,
        "retry_count": 0,
        "occurrence_count": 0,
        "last_error": None,
    }


async def test_statuses(shop: Shop) -> None:
    assert shop.clock is not None

    async def status() -> Any:
        document = await shop.messages.find_one({"_id": "a"})
        return document["status"], "token" in document

    await put(shop, due(shop, "a", recurrence=None))
    assert await status() == ("scheduled", False)
    for expected in ("claimed", "claimed", "claimed"):
        batch = await claim(shop)
        assert await status() == (expected, True)
        shop.clock.advance(minutes=5)
    batch = await claim(shop)
    lease = await shop.leases.find_one({"owner": "host:1:a"})
    assert (lease["_id"], lease["keys"]) == (batch.token, [batch.claims[0].key])


async def test_a_suspect_and_a_dead_letter(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, due(shop, "a"))
    for _ in range(2):
        await claim(shop)
        shop.clock.advance(minutes=5)
    await put(shop, Message("event", id="b", scheduled_at=shop.clock() - timedelta(days=1)))
    assert [each.message.id for each in (await claim(shop)).claims] == ["b"]
    assert (await shop.messages.find_one({"_id": "a"}))["status"] == "suspect"
    batch = await claim(shop)
    outcome = {batch.claims[0].key: Bury("$broken")}
    assert await shop.store.settle([duly.store.Settle(batch.token or "", outcome)])
    document = await shop.messages.find_one({"_id": "a"})
    assert (document["status"], document["last_error"]) == ("dead", "$broken")
    assert document["dead"] == document["place"]
    assert await shop.store.reschedule("a", None, of_state=State.DEAD) is State.DEAD
    document = await shop.messages.find_one({"_id": "a"})
    assert (document["status"], document["lapses"]) == ("scheduled", 0)
    assert "dead" not in document


async def test_an_occurrence_is_buried_once_even_if_its_settle_died(shop: Shop) -> None:
    """What had stored the dead letter and came no further is done again by the next holder."""
    assert shop.clock is not None
    await put(shop, due(shop, "a", recurrence=Every(timedelta(hours=1))))
    batch = await claim(shop)
    (series,) = batch.claims
    letter = {"_id": series.message.delivery_id, "status": "dead"}
    origin = f"{str(series.key)[:24]}:0"
    await shop.messages.insert_one({**letter, "origin": origin, "dead": "x", "place": "x"})
    outcome = {series.key: Bury("broken")}
    assert await shop.store.settle([duly.store.Settle(batch.token or "", outcome)])
    assert [each["_id"] async for each in shop.messages.find()] == [letter["_id"]]


FOREIGN = {
    "no place in line": {"_id": "x", "status": "scheduled"},
    "a date": {"_id": "x", "status": "scheduled", "due": datetime(2020, 1, 1)},
    "a number": {"_id": "x", "status": "suspect", "due": 5, "place": 7},
    "a text": {"_id": "x", "status": "scheduled", "due": "1999-tomorrow"},
    "a list": {"_id": "x", "status": "scheduled", "due": ["2", "1"], "payload": b"bytes"},
    "an expression": {"_id": "x", "status": "scheduled", "due": Regex(".*")},
    "an id that is no text": {"_id": ObjectId(), "status": "scheduled"},
    "an id that is a document": {"_id": {"a": 1}, "status": "scheduled", "due": None},
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN)
async def test_what_waits_and_is_none_of_ours_is_set_aside(
    shop: Shop, foreign: dict[str, Any]
) -> None:
    await put(shop, due(shop, "a"), due(shop, "b"))
    await shop.messages.insert_one(foreign)
    claimed, aside = list[str](), list[Message]()
    for _ in range(5):
        batch = await claim(shop)
        claimed += [each.message.id for each in batch.claims]
        aside += batch.unreadable
        if not batch.more:
            break
    assert claimed == ["a", "b"]
    (letter,) = aside
    assert (letter.event_name, letter.state) == (UNREADABLE, State.DEAD)
    assert letter.payload
    assert [*await shop.store.list(Filter(state=State.DEAD))] == [letter]
    assert [*await shop.store.list(Filter(event_name=UNREADABLE))] == [letter]
    assert await shop.store.get(letter.id) == letter
    assert (await shop.store.stats()).dead == 1
    if not isinstance(foreign["_id"], str):
        assert bson.decode(letter.payload)["_id"] == foreign["_id"]
    assert [*await shop.store.cancel([letter.id], of_state=State.DEAD)] == [State.DEAD]
    assert await shop.messages.count_documents({}) == 2


async def test_what_does_not_wait_and_is_none_of_ours_is_left_alone(shop: Shop) -> None:
    assert shop.clock is not None
    foreign = {"_id": "x", "status": "pending", "event_name": "event", "scheduled_at": 5}
    await shop.messages.insert_many([foreign, {"_id": ObjectId(), "note": "not for you"}])
    await put(shop, due(shop, "a"))
    batch = await claim(shop)
    assert [each.message.id for each in batch.claims] == ["a"]
    assert (batch.more, [*batch.unreadable]) == (False, [])
    listed = [*await shop.store.list(Filter())]
    assert [each.event_name for each in listed] == [UNREADABLE, UNREADABLE, "event"]
    assert {each.state for each in listed[:2]} == {State.DEAD}
    assert await shop.messages.find_one({"_id": "x"}) == foreign
    assert (await shop.store.stats()).dead == 0
    assert [*await shop.store.cancel(["x"], of_state=State.SCHEDULED)] == [State.DEAD]
    assert [*await shop.store.cancel(["x"], of_state=State.DEAD)] == [State.DEAD]
    assert await shop.messages.find_one({"_id": "x"}) is None


DAMAGE = {
    "payload": {"payload": "text"},
    "metadata": {"metadata": {"a": "b"}},
    "a moment": {"scheduled_at_us": "soon"},
    "a moment far away": {"created_at_us": 2**62},
    "a count": {"retry_count": None},
    "a name": {"event_name": 7},
    "text that is none": {"event_name": b"\xff"},
    "a key": {"key": 5},
    "the recurrence": {"recurrence": "{}"},
    "the format": {"format": "1"},
    "the trace": {"trace_context": Binary(b"x")},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_document_is_set_aside(shop: Shop, damage: dict[str, Any]) -> None:
    await put(shop, due(shop, "a"), due(shop, "b"), due(shop, "c"))
    await shop.messages.update_one({"_id": "b"}, {"$set": damage})
    batch = await claim(shop)
    assert [each.message.id for each in batch.claims] == ["a", "c"]
    (letter,) = batch.unreadable
    assert (letter.id, letter.scheduled_at) == ("b", due(shop, "x").scheduled_at)
    assert [*await shop.store.list(Filter(state=State.DEAD))] == [letter]
    assert [*await shop.store.renew([batch.token or ""], LEASE)] == [frozenset()]


async def test_a_damaged_one_makes_way(shop: Shop) -> None:
    await put(shop, due(shop, "a"), due(shop, "b"))
    await shop.messages.update_one({"_id": "a"}, {"$set": {"created_at_us": 2**62}})
    await shop.messages.update_one({"_id": "b"}, {"$set": {"created_at_us": "then"}})
    new = [due(shop, "a"), due(shop, "b")]
    assert [*await shop.store.put([Group([each], replace=True) for each in new])] == [None, None]
    assert [*await shop.store.list(Filter())] == new


async def test_odd_lapses_do_not_hold_up_a_recovery(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, due(shop, "a"), due(shop, "b"))
    await claim(shop)
    await shop.messages.update_one({"_id": "a"}, {"$set": {"lapses": "many"}})
    shop.clock.advance(minutes=5)
    batch = await claim(shop)
    assert [(each.message.id, each.lapses) for each in batch.claims] == [("a", 1), ("b", 1)]


async def test_a_message_larger_than_a_document(shop: Shop) -> None:
    assert shop.clock is not None
    large = Message("event", bytes(16 * 1024 * 1024), scheduled_at=shop.clock())
    async with duly.Client(shop.store, max_payload=32 * 1024 * 1024) as client:
        with pytest.raises(duly.InvalidMessage, match="16000000 at most"):
            await client.schedule(large)
    (refused, stored) = await shop.store.put([Group([large]), Group([due(shop, "a")])])
    assert isinstance(refused, duly.InvalidMessage)
    assert stored is None


async def test_the_largest_message_comes_through(shop: Shop) -> None:
    assert shop.clock is not None
    text = {"key": "v" * 65_000}
    largest = Message(
        "e" * 255,
        bytes(16_000_000 - 65_003),
        id="i" * 255,
        scheduled_at=shop.clock(),
        metadata=text,
    )
    await put(shop, largest)
    batch = await claim(shop)
    assert [each.message.payload for each in batch.claims] == [largest.payload]
    outcome = {batch.claims[0].key: Bury("x" * 1024)}
    assert await shop.store.settle([duly.store.Settle(batch.token or "", outcome)])
    assert (await shop.store.get(largest.id)).state is State.DEAD  # type: ignore[union-attr]  # it is
