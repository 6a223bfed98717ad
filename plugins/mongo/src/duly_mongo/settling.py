"""What ends claims: deliveries, put-backs, burials.

A settle takes hold of its lease first, then changes messages one by one or, where a series has an
occurrence buried, in a transaction; the lease document goes last. Should it die on the way, what it
did not come to is still claimed, and comes back when the lease has lapsed and the hold is over.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bson.int64 import Int64
from pymongo import DeleteMany, UpdateOne

from duly import State
from duly.moment import to_microseconds
from duly.record import UnreadableRecord
from duly.store import Bury, Key, Release, Reschedule, Settle, Settlement
from duly_mongo.aside import set_aside
from duly_mongo.burying import bury_occurrences
from duly_mongo.documents import moments, read
from duly_mongo.leases import still_valid
from duly_mongo.namespace import Namespace
from duly_mongo.places import KEY_LENGTH, place
from duly_mongo.statuses import DEAD, PUT_BACK, SCHEDULED

__all__ = ["settle"]

_HOLD: Final = 10 * 10**6  # microseconds that a settle may take before others look after its lease


async def settle(space: Namespace, settle: Settle) -> bool:
    """Do what a settle says; False, and nothing, for a token that is not valid."""
    if not await _take_hold(space, settle):
        return False
    exceptions = settle.exceptions
    if settle.only is not None:
        exceptions = {key: exceptions[key] for key in settle.only if key in exceptions}
    if any(isinstance(each, Bury) for each in exceptions.values()) and space.transactional:
        return await space.transact(lambda session: _work(space, settle, exceptions, session))
    return await _work(space, settle, exceptions, None)


async def _take_hold(space: Namespace, settle: Settle) -> bool:
    """Whether the lease was valid; from now on its lapse waits, and its keys leave it."""
    keys: Any = {"$literal": []}
    if settle.only is not None:
        keys = {"$setDifference": ["$keys", {"$literal": [*settle.only]}]}
    hold = {"keys": keys, "held_until": {"$add": [space.now(), Int64(_HOLD)]}}
    held = await space.leases.update_one(still_valid(space, [settle.token]), [{"$set": hold}])
    return bool(held.matched_count)


async def _work(
    space: Namespace, settle: Settle, exceptions: Mapping[Key, Settlement], session: Any
) -> bool:
    buried = [key for key, each in exceptions.items() if isinstance(each, Bury)]
    writes = [
        _put_back(settle.token, key, each)
        for key, each in exceptions.items()
        if not isinstance(each, Bury)
    ]
    ended = list[Key]()
    if buried:
        burials, ended = await _burials(space, settle.token, buried, exceptions, session)
        writes += burials
    delivered: dict[str, Any] = {"token": settle.token}
    if settle.only is not None:
        ended += [key for key in settle.only if key not in exceptions]
        delivered["key"] = {"$in": [str(key)[:KEY_LENGTH] for key in ended]}
    if writes:
        # Those that are excepted leave the lease first: the rest was delivered.
        await space.messages.bulk_write([*writes, DeleteMany(delivered)], session=session)
    else:
        await space.messages.delete_many(delivered, session=session)
    if settle.only is None:
        over = await space.leases.delete_one({"_id": settle.token}, session=session)
        return bool(over.deleted_count)
    await space.leases.update_one(
        {"_id": settle.token}, {"$unset": {"held_until": ""}}, session=session
    )
    return True


async def _burials(
    space: Namespace,
    token: str,
    keys: Sequence[Key],
    exceptions: Mapping[Key, Settlement],
    session: Any,
) -> tuple[list[Any], list[Key]]:
    """The writes that bury what is still in the lease, and the keys of series that end.

    Occurrences of series are stored here.
    """
    writes, ended, occurrences = list[Any](), list[Key](), list[Any]()
    query = {"token": token, "key": {"$in": [str(key)[:KEY_LENGTH] for key in keys]}}
    for document in await space.find(query, session=session):
        key = f"{document['key']}{document['_id']}"
        bury = exceptions[key]
        assert isinstance(bury, Bury)  # noqa: S101  # for the type checker
        try:
            message = read(document, State.CLAIMED)
        except UnreadableRecord:  # since it was claimed
            await set_aside(space, document, token, session=session)
            continue
        if message.recurrence is None:
            writes.append(UpdateOne(_held(token, key), _buried(bury.reason)))
            continue
        occurrences.append((message, bury.reason, document["key"]))
        if bury.next is None:
            ended.append(key)
        else:
            writes.append(_put_back(token, key, bury.next))
    await bury_occurrences(space, occurrences, session)
    return writes, ended


def _held(token: str, key: Key) -> dict[str, Any]:
    """The message of that key, if it is still in the lease."""
    return {"_id": str(key)[KEY_LENGTH:], "key": str(key)[:KEY_LENGTH], "token": token}


def _put_back(token: str, key: Key, how: Release | Reschedule) -> UpdateOne:
    mine = _held(token, key)
    if isinstance(how, Release):
        due = place(to_microseconds(how.at), mine["key"])
        return UpdateOne(mine, [{"$set": {"due": {"$literal": due}}}, *PUT_BACK])
    due_at, counters = to_microseconds(how.next_attempt_at), how.counters
    scheduled_at = to_microseconds(counters.scheduled_at)
    return UpdateOne(
        mine,
        {
            "$set": {
                "status": SCHEDULED,
                "due": place(due_at, mine["key"]),
                "place": place(scheduled_at, mine["_id"]),
                "lapses": 0,
                "retry_count": counters.retry_count,
                "occurrence_count": counters.occurrence_count,
                "last_error": counters.last_error,
                **moments(scheduled_at=scheduled_at, next_attempt_at=due_at),
            },
            "$unset": {"token": ""},
        },
    )


def _buried(reason: str) -> list[dict[str, Any]]:
    marks = {"status": DEAD, "dead": "$place", "last_error": {"$literal": reason}}
    return [{"$set": marks}, {"$unset": "token"}]
