"""What callers do to messages that are stored: cancel and reschedule."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from pymongo import UpdateOne

from duly import State
from duly.moment import FIRST, LAST, to_microseconds
from duly.record import UnreadableRecord, encodable
from duly.store import to_be_moved
from duly_mongo.following import Changes, becoming, following
from duly_mongo.namespace import Namespace
from duly_mongo.places import moment_of, new_keys, place
from duly_mongo.records import read
from duly_mongo.statuses import CLAIMED, SCHEDULED, in_state, state_of
from duly_mongo.values import moments

__all__ = ["cancel", "remove", "reschedule"]

_NO_CHANGES: Final[Changes] = {"$set": {}, "$unset": {}}
_ANY: Final[Mapping[str, Any]] = MappingProxyType({})
_FIELDS: Final = ("key", "status", "token")
_MOVED_BY: Final = (
    "key", "status", "place", "recurrence", "scheduled_at_us", "created_at_us", "given_at_us",
    "revision", "successor",
)  # fmt: skip

States = Sequence[State | None]


async def cancel(
    space: Namespace, ids: Sequence[str], of_state: State | None, session: Any
) -> States:
    """Remove messages; the state each was found in."""
    known = [id for id in ids if encodable(id)]
    if session is not None:
        found = await _remove_all(space, known, of_state, session)
    elif space.transactional and len(known) > 1:
        found = await space.transact(lambda session: _remove_all(space, known, of_state, session))
    else:
        found = {id: await remove(space, id, of_state) for id in known}
    return [found.get(id) for id in ids]


async def remove(
    space: Namespace, id: str, of_state: State | None, only: Mapping[str, Any] = _ANY
) -> State | None:
    """In one step, so that the state found is that of the message removed, and it is as told."""
    while True:
        if of_state is not State.CLAIMED:
            status = {"$ne": CLAIMED} if of_state is None else in_state(of_state)
            query = {**only, "_id": id, "status": status}
            removed = await space.messages.find_one_and_delete(query, projection=["status"])
            if removed is not None:
                return state_of(removed.get("status"))
        found = await space.messages.find_one({**only, "_id": id}, _FIELDS)
        if found is None:
            return None
        state = state_of(found.get("status"))
        if of_state not in (None, state):
            return state
        if state is State.CLAIMED:
            await _tell_leases(space, [found])
            mine = {**only, "_id": id, "key": found.get("key"), "token": found.get("token")}
            if (await space.messages.delete_one(mine)).deleted_count:
                return state


async def _remove_all(
    space: Namespace, ids: Sequence[str], of_state: State | None, session: Any
) -> dict[str, State | None]:
    found = await space.find({"_id": {"$in": [*ids]}}, _FIELDS, session=session)
    states: dict[str, State | None] = {each["_id"]: state_of(each.get("status")) for each in found}
    removed = [each for each in found if of_state in (None, states[each["_id"]])]
    if removed:
        await _tell_leases(space, removed)
        gone = {"_id": {"$in": [each["_id"] for each in removed]}}
        await space.messages.delete_many(gone, session=session)
    return states


async def _tell_leases(space: Namespace, documents: Sequence[Mapping[str, Any]]) -> None:
    """Note in the leases of claimed messages that these are withdrawn, before they are removed.

    A claim that is under way learns from this that they were in its hands. It is not done in the
    transaction, which would hold up the renewing of the lease; a rollback does no harm.
    """
    keys = defaultdict[Any, list[str]](list)
    for each in documents:
        if each.get("status") == CLAIMED:
            keys[each.get("token")].append(f"{each.get('key')}{each['_id']}")
    if keys:
        push = [
            UpdateOne({"_id": token}, {"$push": {"withdrawn": {"$each": some}}})
            for token, some in keys.items()
        ]
        await space.leases.bulk_write(push, ordered=False)


async def reschedule(
    space: Namespace, id: str, at: datetime | None, of_state: State, session: Any
) -> State | None:
    """Move a message found in ``of_state``; the state it was found in."""
    if not encodable(id):
        return None
    while True:
        document = await space.messages.find_one({"_id": id}, _MOVED_BY, session=session)
        if document is not None and document.get("successor") is not None:
            document = await space.messages.find_one({"_id": id}, session=session)
        state = None if document is None else state_of(document.get("status"))
        if document is None or state is not of_state:
            return state
        changes = _followed(document) if state is State.SCHEDULED else _NO_CHANGES
        itself = {name: document.get(name) for name in ("key", "status", "revision")}
        moved = await space.messages.update_one(
            {"_id": id, **itself},
            _move(id, at, {**document, **changes["$set"]}, changes),
            session=session,
        )
        if moved.matched_count:
            return state


def _followed(document: Mapping[str, Any]) -> Changes:
    """What follows a series takes its place before that is moved, if both can be read."""
    successor = following(document)
    if successor is None:
        return _NO_CHANGES
    try:
        message = read(document, State.SCHEDULED)
    except UnreadableRecord:
        return _NO_CHANGES
    return becoming(to_be_moved(message, successor), document["key"])


def _new_names(document: Mapping[str, Any], due: int) -> dict[str, int]:
    """The moments that give the fires of a series new names when it moves to another moment."""
    created, scheduled = document.get("created_at_us"), document.get("scheduled_at_us")
    if document.get("recurrence") is None or scheduled == due:
        return {}
    if not isinstance(created, int) or not FIRST <= created < LAST:
        return {}  # damaged, or there is no later moment
    return {"created_at": created + 1, "given_at": document.get("given_at_us", created)}


def _move(id: str, at: datetime | None, document: Mapping[str, Any], first: Changes) -> Changes:
    """The update that moves a message, which is ``document`` after the changes of ``first``."""
    known = moment_of(document.get("place")) or 0
    due = known if at is None else to_microseconds(at)
    key = new_keys(1)[0]
    fields = {
        **first["$set"],
        "key": key,
        "status": SCHEDULED,
        "due": place(due, key),
        "place": place(due, id),
        "lapses": 0,
        "retry_count": 0,
        "last_error": None,
        **moments(scheduled_at=due, next_attempt_at=due, **_new_names(document, due)),
    }
    gone = dict.fromkeys(("aside", "dead", "fate", "origin", "unreadable"), "") | first["$unset"]
    return {"$set": fields, "$unset": {k: v for k, v in gone.items() if k not in fields}}
