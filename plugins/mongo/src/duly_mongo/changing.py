"""What callers do to messages that are stored: cancel and reschedule."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from duly import State
from duly.moment import to_microseconds
from duly_mongo.documents import moments
from duly_mongo.namespace import Namespace
from duly_mongo.places import moment_of, new_keys, place
from duly_mongo.statuses import SCHEDULED, state_of, statuses_of

__all__ = ["cancel", "reschedule", "storable"]

States = Sequence[State | None]


async def cancel(
    space: Namespace, ids: Sequence[str], of_state: State | None, session: Any
) -> States:
    """Remove messages; the state each was found in."""
    known = [id for id in ids if storable(id)]
    if session is not None:
        found = await _remove_all(space, known, of_state, session)
    elif space.transactional and len(known) > 1:
        found = await space.transact(
            lambda session: _remove_all(space, known, of_state, session)
        )
    else:
        found = {id: await _remove(space, id, of_state) for id in known}
    return [found.get(id) for id in ids]


async def _remove(space: Namespace, id: str, of_state: State | None) -> State | None:
    """In one step: what it is found as and what is removed are the same."""
    query: dict[str, Any] = {"_id": id}
    if of_state is not None:
        query["status"] = {"$in": [*statuses_of(of_state)]}
    while True:
        removed = await space.messages.find_one_and_delete(query, projection=["status"])
        if removed is None and of_state is not None:
            removed = await space.messages.find_one({"_id": id}, ["status"])
            if removed is not None and state_of(removed.get("status")) is of_state:
                continue  # it came to that state in between
        return None if removed is None else state_of(removed.get("status"))


async def _remove_all(
    space: Namespace, ids: Sequence[str], of_state: State | None, session: Any
) -> dict[str, State | None]:
    documents = await space.find({"_id": {"$in": [*ids]}}, ["status"], session=session)
    found: dict[str, State | None] = {
        each["_id"]: state_of(each.get("status")) for each in documents
    }
    removed = [id for id, state in found.items() if of_state in (None, state)]
    if removed:
        await space.messages.delete_many({"_id": {"$in": removed}}, session=session)
    return found


async def reschedule(
    space: Namespace, id: str, at: datetime | None, of_state: State, session: Any
) -> State | None:
    """Move a message found in ``of_state``; the state it was found in."""
    if not storable(id):
        return None
    while True:
        document = await space.messages.find_one(
            {"_id": id}, ["key", "status", "place"], session=session
        )
        state = None if document is None else state_of(document.get("status"))
        if document is None or state is not of_state:
            return state
        known = moment_of(document.get("place")) or 0
        due = known if at is None else to_microseconds(at)
        moved = await space.messages.update_one(
            {"_id": id, "key": document.get("key"), "status": document.get("status")},
            _move(id, due),
            session=session,
        )
        if moved.matched_count:
            return state


def _move(id: str, due: int) -> dict[str, Any]:
    key = new_keys(1)[0]
    return {
        "$set": {
            "key": key,
            "status": SCHEDULED,
            "due": place(due, key),
            "place": place(due, id),
            "lapses": 0,
            "retry_count": 0,
            "last_error": None,
            **moments(scheduled_at=due, next_attempt_at=due),
        },
        "$unset": {"dead": "", "origin": "", "unreadable": ""},
    }


def storable(text: str) -> bool:
    """Whether a stored message can have this text; BSON is UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
