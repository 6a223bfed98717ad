"""What ends claims: deliveries, put-backs, burials.

A settle takes hold of its lease first, then changes messages one by one or, if an occurrence of a
series is buried, in a transaction; the lease document goes last. If it dies on the way, messages it
did not get to are still claimed, and come back when the lease has lapsed and the hold is over.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson.int64 import Int64
from pymongo import DeleteMany, ReturnDocument, UpdateOne

from duly import Message, State
from duly.message import with_changes
from duly.moment import from_microseconds, to_microseconds
from duly.record import UnreadableRecord, to_record
from duly.store import Bury, Key, Reschedule, Settle, buried_keys, plan_settle
from duly_mongo.aside import set_aside
from duly_mongo.burying import bury_occurrences
from duly_mongo.fates import fate_of
from duly_mongo.leases import still_valid
from duly_mongo.namespace import Namespace
from duly_mongo.places import KEY_LENGTH, place
from duly_mongo.records import read
from duly_mongo.statuses import DEAD, PUT_BACK, SCHEDULED
from duly_mongo.values import moments, whole

__all__ = ["settle"]

_HOLD: Final = 10 * 10**6  # microseconds that a settle may take before others look after its lease


async def settle(space: Namespace, settle: Settle) -> bool:
    """Do what a settle says; False, and nothing, for a token that is not valid."""
    if not _buried_keys(settle):
        query, hold = _hold(space, settle)
        held = await space.leases.update_one(query, hold)
        return bool(held.matched_count) and await _work(space, settle, None)
    now = await _hold_and_tell(space, settle)
    if now is None:
        return False
    if space.transactional:
        return await space.transact(lambda session: _work(space, settle, session, now))
    return await _work(space, settle, None, now)


async def _hold_and_tell(space: Namespace, settle: Settle) -> datetime | None:
    """Take hold; the store's time of that, None for a token that is not valid."""
    query, hold = _hold(space, settle)
    held = await space.leases.find_one_and_update(
        query, hold, projection=["held_until"], return_document=ReturnDocument.AFTER
    )
    return None if held is None else from_microseconds(whole(held["held_until"]) - _HOLD)


def _hold(space: Namespace, settle: Settle) -> tuple[dict[str, Any], Sequence[Any]]:
    """The update that takes hold of a valid lease: its lapse waits, and its keys leave it."""
    keys: Any = {"$literal": []}
    if settle.only is not None:
        keys = {"$setDifference": ["$keys", {"$literal": [*settle.only]}]}
    hold = {"keys": keys, "held_until": {"$add": [space.now(), Int64(_HOLD)]}}
    return still_valid(space, [settle.token]), [{"$set": hold}]


async def _work(
    space: Namespace, settle: Settle, session: Any, now: datetime | None = None
) -> bool:
    """Carry out what a settle says; ``now`` is needed where something is buried."""
    token = settle.token
    messages = await _load(space, token, _buried_keys(settle), session)
    plan = plan_settle(settle, _named(settle), messages, now=now)
    await bury_occurrences(space, plan.occurrences, session)
    writes = [
        *[_released(token, *each) for each in plan.released.items()],
        *[_rescheduled(token, *each) for each in plan.rescheduled.items()],
        *[_buried(token, key, how, messages[key], now) for key, how in plan.buried.items()],
    ]
    delivered: dict[str, Any] = {"token": token}
    if not plan.ends:
        delivered["key"] = {"$in": [str(key)[:KEY_LENGTH] for key in plan.deleted]}
    if writes:
        # Those named in exceptions leave the lease first: the rest was delivered.
        await space.messages.bulk_write([*writes, DeleteMany(delivered)], session=session)
    else:
        await space.messages.delete_many(delivered, session=session)
    if plan.ends:
        over = await space.leases.delete_one({"_id": token}, session=session)
        return bool(over.deleted_count)
    await space.leases.update_one({"_id": token}, {"$unset": {"held_until": ""}}, session=session)
    return True


def _named(settle: Settle) -> Collection[Key]:
    """The keys that a settle names. Which of them are in the lease each write finds out."""
    return settle.exceptions if settle.only is None else {*settle.only}


def _buried_keys(settle: Settle) -> Sequence[Key]:
    return buried_keys(settle, _named(settle))


async def _load(
    space: Namespace, token: str, keys: Sequence[Key], session: Any
) -> Mapping[Key, Message]:
    """The messages of these keys that are still in the lease and can be read."""
    messages = dict[Key, Message]()
    if not keys:
        return messages
    query = {"token": token, "key": {"$in": [str(key)[:KEY_LENGTH] for key in keys]}}
    for document in await space.find(query, session=session):
        try:
            message = read(document, State.CLAIMED)
        except UnreadableRecord:  # since it was claimed
            await set_aside(space, document, token, session=session)
        else:
            messages[f"{document['key']}{message.id}"] = message
    return messages


def _held(token: str, key: Key) -> dict[str, Any]:
    """The message of that key, if it is still in the lease."""
    return {"_id": str(key)[KEY_LENGTH:], "key": str(key)[:KEY_LENGTH], "token": token}


def _released(token: str, key: Key, at: datetime) -> UpdateOne:
    mine = _held(token, key)
    due = place(to_microseconds(at), mine["key"])
    return UpdateOne(mine, [{"$set": {"due": {"$literal": due}}}, *PUT_BACK])


def _rescheduled(token: str, key: Key, how: Reschedule) -> UpdateOne:
    mine = _held(token, key)
    due_at, counters = to_microseconds(how.next_attempt_at), how.counters
    scheduled_at = to_microseconds(counters.scheduled_at)
    fields = {
        "status": SCHEDULED,
        "due": place(due_at, mine["key"]),
        "place": place(scheduled_at, mine["_id"]),
        "lapses": 0,
        "retry_count": counters.retry_count,
        "occurrence_count": counters.occurrence_count,
        "last_error": counters.last_error,
        **moments(scheduled_at=scheduled_at, next_attempt_at=due_at),
    }
    fate = fate_of(counters, mine["key"])
    if fate is None:
        return UpdateOne(mine, {"$set": fields, "$unset": {"token": "", "fate": ""}})
    changes = {"$set": {**fields, "fate": fate}, "$unset": {"token": ""}}
    return UpdateOne(mine, {**changes, "$max": {"format": counters.format}})


def _buried(token: str, key: Key, how: Bury, message: Message, now: datetime | None) -> UpdateOne:
    mine = _held(token, key)
    letter = with_changes(message, died_at=now, error_class=how.error_class)
    marks = {
        "status": DEAD,
        "dead": "$place",
        "last_error": {"$literal": how.reason},
        "fate": {"$literal": fate_of(to_record(letter), mine["key"])},
    }
    return UpdateOne(mine, [{"$set": marks}, {"$unset": "token"}])
