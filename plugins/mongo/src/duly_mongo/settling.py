"""What ends claims: deliveries, put-backs, burials.

A settle takes hold of its lease first, then changes messages one by one or, if an occurrence of a
series is buried, in a transaction; the lease document goes last. If it dies on the way, messages it
did not get to are still claimed, and come back when the lease has lapsed and the hold is over.

Whether something follows a series is looked at only where a write finds out that it does.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bson.int64 import Int64
from pymongo import DeleteOne, ReturnDocument, UpdateOne

from duly import Message, StoreUnavailable
from duly.message import with_changes
from duly.moment import from_microseconds, to_microseconds
from duly.record import to_record
from duly.store import Bury, End, Reschedule, Settle, buried_keys, plan_settle
from duly_mongo.burying import bury_occurrences
from duly_mongo.fates import fate_of
from duly_mongo.following import becoming
from duly_mongo.held import Held, load
from duly_mongo.leases import still_valid
from duly_mongo.namespace import TRIES, Namespace
from duly_mongo.places import KEY_LENGTH, place
from duly_mongo.statuses import DEAD, PUT_BACK, SCHEDULED
from duly_mongo.values import moments, whole

__all__ = ["settle"]

_HOLD: Final = 10 * 10**6  # microseconds that a settle may take before others look after its lease


async def settle(space: Namespace, settle: Settle) -> bool:
    """Do what a settle says; False, and nothing, for a token that is not valid."""
    if not buried_keys(settle, settle.exceptions):
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
    exceptions = settle.exceptions
    looked_at = {key: each for key, each in exceptions.items() if isinstance(each, Bury | End)}
    held = await load(space, token, looked_at, now, session)
    for _ in range(TRIES):
        # Those named in exceptions leave the lease first: the rest was delivered.
        if await _carry_out(space, Settle(token, exceptions, [*exceptions]), held, session, now):
            break
        # Something follows one of them, was changed or is gone: look at those that are left.
        held = await load(space, token, exceptions, now, session)
        exceptions = {key: each for key, each in exceptions.items() if key in held.documents}
    else:
        raise StoreUnavailable("MongoDB: others keep changing the same series: it may work again")
    delivered: dict[str, Any] = {"token": token}
    if settle.only is not None:
        keys = {*settle.only} - settle.exceptions.keys()
        delivered["key"] = {"$in": [str(key)[:KEY_LENGTH] for key in keys]}
    await space.messages.delete_many(delivered, session=session)
    if settle.only is None:
        over = await space.leases.delete_one({"_id": token}, session=session)
        return bool(over.deleted_count)
    await space.leases.update_one({"_id": token}, {"$unset": {"held_until": ""}}, session=session)
    return True


async def _carry_out(
    space: Namespace, settle: Settle, held: Held, session: Any, now: datetime | None
) -> bool:
    """Do what is told of the keys of a settle; whether each was found as it was looked at.

    Nothing that was done is done a second time: what has left the lease is not found again.
    """
    named, messages = dict.fromkeys(settle.exceptions), held.messages
    plan = plan_settle(settle, named, messages, now=now, successors=held.successors)
    await bury_occurrences(space, plan.occurrences, session)
    writes = [
        *[_released(held.itself(key), at) for key, at in plan.released.items()],
        *[_rescheduled(held.unchanged(key), how) for key, how in plan.rescheduled.items()],
        *[_succeeded(held.unchanged(key), message) for key, message in plan.succeeded.items()],
        *[
            _buried(held.unchanged(key), how, messages[key], now)
            for key, how in plan.buried.items()
        ],
        *[DeleteOne(held.unchanged(key)) for key in plan.deleted],
    ]
    if not writes:
        return True
    done = await space.messages.bulk_write(writes, session=session)
    found: int = done.matched_count + done.deleted_count
    return found == len(writes)


def _released(mine: Mapping[str, Any], at: datetime) -> UpdateOne:
    due = place(to_microseconds(at), mine["key"])
    return UpdateOne(mine, [{"$set": {"due": {"$literal": due}}}, *PUT_BACK])


def _rescheduled(mine: Mapping[str, Any], how: Reschedule) -> UpdateOne:
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


def _succeeded(mine: Mapping[str, Any], message: Message) -> UpdateOne:
    return UpdateOne(mine, becoming(message, mine["key"]))


def _buried(
    mine: Mapping[str, Any], how: Bury, message: Message, now: datetime | None
) -> UpdateOne:
    letter = with_changes(message, died_at=now, error_class=how.error_class)
    marks = {
        "status": DEAD,
        "dead": "$place",
        "last_error": {"$literal": how.reason},
        "fate": {"$literal": fate_of(to_record(letter), mine["key"])},
    }
    return UpdateOne(mine, [{"$set": marks}, {"$unset": "token"}])
