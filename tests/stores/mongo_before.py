"""Of the version before: its documents, its updates and its reading, as it had them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson.int64 import Int64
from tests.stores.mongo_kit import Shop

from duly import Message, State
from duly.moment import from_microseconds, to_microseconds
from duly.record import NewerRecord, from_record
from duly_mongo.places import new_keys

OFFSET = 2 * 10**18  # of the moments in places
FIELDS = {
    "_id", "key", "status", "due", "place", "lapses", "format", "event_name", "payload", "metadata",
    "scheduled_at", "scheduled_at_us", "created_at", "created_at_us", "next_attempt_at",
    "next_attempt_at_us", "retry_count", "occurrence_count", "last_error", "expires_at",
    "expires_at_us", "trace_context", "recurrence", "delivery_id", "given_at", "given_at_us",
    "token", "dead", "origin", "unreadable",
}  # fmt: skip
"""All that it writes."""


def now_us(shop: Shop) -> int:
    assert shop.clock is not None
    return to_microseconds(shop.clock())


def written(shop: Shop, id: str, status: str = "scheduled", **more: Any) -> dict[str, Any]:
    """A document as it wrote it, due a second ago."""
    due, key = now_us(shop) - 10**6, f"{id:0>24}"
    moments: dict[str, Any] = {}
    for name in ("scheduled_at", "created_at", "next_attempt_at"):
        moments |= {name: from_microseconds(due), f"{name}_us": Int64(due)}
    return {
        "_id": id, "key": key, "status": status, "due": f"{OFFSET + due}-{key}",
        "place": f"{OFFSET + due}-{id}", "lapses": 0, "format": 1, "event_name": "event",
        "payload": b"payload", "metadata": "", **moments, "retry_count": 0, "occurrence_count": 0,
        "last_error": None, **more,
    }  # fmt: skip


def in_every_state(shop: Shop) -> Mapping[str, dict[str, Any]]:
    """Documents by id, as it left them; of what is in hand the leases are still to come."""
    place = written(shop, "")["place"]
    recurrence = (
        '{"max_occurrences":null,"until":null,"missed":"once","grace":60000000,"every":3600000000}'
    )
    dead = {"last_error": "broken", "status": "dead"}
    documents = [
        written(shop, "waiting"),
        written(shop, "retried", retry_count=2, last_error="broken", lapses=1),
        written(shop, "suspect", "suspect", lapses=2),
        written(shop, "series", recurrence=recurrence, occurrence_count=3),
        written(shop, "held", "claimed", token="theirs"),
        written(shop, "lapsed", "claimed", token="over"),
        written(shop, "dead", **dead, dead=f"{place}dead"),
        written(shop, "a:1:2", **dead, dead=f"{place}a:1:2", origin="x:0", delivery_id="a:1:2"),
    ]
    return {each["_id"]: each for each in documents}


async def write_leases(shop: Shop) -> None:
    for token, end in {"theirs": 10**9, "over": -1}.items():
        lease = {"_id": token, "expires_at": Int64(now_us(shop) + end), "owner": "it", "keys": []}
        await shop.leases.insert_one(lease)


def read_by_it(document: Mapping[str, Any]) -> Message:
    """What it makes of a document: it knows one format, and the fields of that."""
    if document["format"] != 1:
        raise NewerRecord("record format is newer than 1")
    get = document.get
    names = ("_id", "event_name", "payload", "metadata", "scheduled_at_us", "created_at_us")
    head = [document[name] for name in names]
    head[3] = head[3].encode()
    middle = (get("expires_at_us"), get("recurrence"), document["next_attempt_at_us"])
    counts = (document["retry_count"], document["occurrence_count"])
    tail = (get("last_error"), get("delivery_id"), b"", get("given_at_us"))
    numbers = [int(each) if isinstance(each, Int64) else each for each in (*head, *middle)]
    return from_record((1, *numbers, *counts, *tail), State.SCHEDULED)


async def seen_by_it(shop: Shop) -> list[str]:
    """The ids of what its claims look at: lines of two kinds, each by its place."""
    found = shop.messages.find({"status": {"$in": ["scheduled", "suspect"]}})
    return [each["_id"] async for each in found.sort("due", 1)]


async def moved_by_it(shop: Shop, id: str) -> None:
    """Its replay of a dead letter, or its move of one that waits: due now."""
    due, key = now_us(shop), new_keys(1)[0]
    fields = {
        "key": key, "status": "scheduled", "due": f"{OFFSET + due}-{key}",
        "place": f"{OFFSET + due}-{id}", "lapses": 0, "retry_count": 0, "last_error": None,
        "scheduled_at": from_microseconds(due), "scheduled_at_us": Int64(due),
        "next_attempt_at": from_microseconds(due), "next_attempt_at_us": Int64(due),
    }  # fmt: skip
    gone = {"dead": "", "origin": "", "unreadable": ""}
    await shop.messages.update_one({"_id": id}, {"$set": fields, "$unset": gone})


async def buried_by_it(shop: Shop, id: str) -> None:
    marks = {"status": "dead", "dead": "$place", "last_error": {"$literal": "by it"}}
    stages = [{"$set": marks}, {"$unset": "token"}]
    assert (await shop.messages.update_one({"_id": id}, stages)).matched_count


async def settled_by_it(shop: Shop, id: str, at: datetime) -> None:
    """Its settlement of a fire of a series in hand, which goes on at that moment."""
    document = await shop.messages.find_one({"_id": id})
    due = to_microseconds(at)
    fields = {
        "status": "scheduled", "due": f"{OFFSET + due}-{document['key']}",
        "place": f"{OFFSET + due}-{id}", "lapses": 0, "retry_count": 0, "occurrence_count": 1,
        "last_error": None, "scheduled_at": at, "scheduled_at_us": Int64(due),
        "next_attempt_at": at, "next_attempt_at_us": Int64(due),
    }  # fmt: skip
    await shop.messages.update_one({"_id": id}, {"$set": fields, "$unset": {"token": ""}})
    await shop.leases.delete_one({"_id": document["token"]})


async def set_aside_by_it(shop: Shop, id: str) -> None:
    """What it does with a record in hand that it is to bury and cannot read."""
    document = await shop.messages.find_one({"_id": id})
    marks = {"status": "dead", "dead": document["place"], "unreadable": True}
    await shop.messages.update_one({"_id": id}, {"$set": marks, "$unset": {"token": ""}})
    await shop.leases.delete_one({"_id": document["token"]})
