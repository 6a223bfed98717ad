"""What callers look at: get, where, list, stats."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from duly import Filter, Message, State, Stats
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly.record import UnreadableRecord, encodable
from duly.store import Whereabouts, succeeded
from duly_mongo.following import following
from duly_mongo.looking import end_of
from duly_mongo.namespace import Namespace
from duly_mongo.places import after, after_expression, moment_of, place
from duly_mongo.records import read, show
from duly_mongo.statuses import ASIDE, CLAIMED, DEAD, WAITING, in_state, state_of

__all__ = ["NO_PAYLOAD", "get", "list_", "stats", "where"]

# A value that is no payload stays as it is, so that the document still shows as unreadable.
NO_PAYLOAD: Final = {
    "$set": {
        "payload": {"$cond": [{"$eq": [{"$type": "$payload"}, "binData"]}, b"", "$payload"]},
    }
}

_NO_LIMIT: Final = 2**31 - 1  # messages; the protocol has no room for a larger batch


async def get(space: Namespace, id: str, session: Any) -> Message | None:
    """The message of that id; None when there is none."""
    if not encodable(id):
        return None
    document = await space.messages.find_one({"_id": id}, session=session)
    return None if document is None else show(document)


async def where(space: Namespace, id: str) -> Whereabouts | None:
    """In whose hands a message is; None when there is none.

    The server reads the message before its lease, and what ends a lease puts its messages in their
    places before that is gone. So a lease that is there was there, of that owner, when the message
    was seen. If it is not, something came between, and the message is looked at again; one that has
    the same token then is in nobody's hands: see :func:`duly_mongo.leases.orphans`.
    """
    if not encodable(id):
        return None
    seen: object = None
    while found := await space.aggregate(space.messages, _with_lease(space, id)):
        (message,) = found
        state, token, leases = state_of(message.get("status")), message.get("token"), ()
        if state is State.CLAIMED:
            leases = message["lease"]
            if not leases and token != seen:
                seen = token
                continue
        due_at = moment_of(message.get("due")) if state is State.SCHEDULED else None
        lapses = message.get("lapses")
        return Whereabouts(
            state=state,
            due_at=None if due_at is None else from_microseconds(due_at),
            lapses=int(lapses) if isinstance(lapses, int) else 0,  # somebody may have changed it
            owner=leases[0].get("owner") if leases else None,
            lease_ends_at=from_microseconds(end_of(leases[0])) if leases else None,
            aside=message.get("status") == ASIDE,
            follows=_following(message.get("followed")),
        )
    return None


def _following(document: Mapping[str, Any] | None) -> Message | None:
    """What follows a series, as it will wait for its first fire, if both can be read."""
    successor = following(document or {})
    if document is None or successor is None:
        return None
    try:
        message = read(document, State.SCHEDULED)
    except UnreadableRecord:
        return None
    return succeeded(message, successor, message.occurrence_count)


def _with_lease(space: Namespace, id: str) -> list[dict[str, Any]]:
    """Looks a message up, and its lease: two documents, each by the index on its id."""
    lookup = {
        "from": space.leases.name,
        "localField": "token",
        "foreignField": "_id",
        "as": "lease",
    }
    of_message: dict[str, Any] = dict.fromkeys(("status", "due", "lapses", "token"), 1)
    of_message["followed"] = {"$cond": [{"$ifNull": ["$successor", False]}, "$$ROOT", None]}
    of_lease = dict.fromkeys(("lease.owner", "lease.expires_at", "lease.held_until"), 1)
    return [
        {"$match": {"_id": id}},
        {"$project": of_message},  # without its payload, unless something follows it
        {"$lookup": lookup},
        {"$project": {**of_message, "followed": 1, **of_lease}},
    ]


async def list_(
    space: Namespace,
    filter: Filter,
    from_key: tuple[datetime, str] | None,
    session: Any,
    *,
    payload: bool,
) -> Sequence[Message]:
    """The messages that match, by ``(scheduled_at, id)``."""
    if filter.event_name is not None and not encodable(filter.event_name):
        return []
    order = "place"
    query: dict[str, Any] = {}
    if filter.event_name not in (None, UNREADABLE):
        query["event_name"] = filter.event_name
    if filter.state is State.DEAD or filter.event_name == UNREADABLE:
        order = "dead"  # a place too, which only dead letters have
        query["dead"] = {"$gt": ""}
    elif filter.state is not None:
        query["status"] = in_state(filter.state)
    if filter.event_name == UNREADABLE:
        query["unreadable"] = True
        if filter.state not in (None, State.DEAD):
            return []
    if bounds := _bounds(filter, from_key):
        query[order] = bounds
    limit = None if filter.limit is None or filter.limit >= _NO_LIMIT else filter.limit
    if not payload:
        stages = _without_payloads(query, order, filter.offset, limit)
        found = await space.aggregate(space.messages, stages, session)
        return [show(document) for document in found]
    cursor = space.messages.find(query, session=session).sort(order, 1).skip(filter.offset)
    if limit is not None:
        cursor = cursor.limit(limit).batch_size(limit + 1)
    return [show(document) for document in await cursor.to_list(None)]


def _without_payloads(
    query: dict[str, Any], order: str, offset: int, limit: int | None
) -> list[dict[str, Any]]:
    stages: list[dict[str, Any]] = [{"$match": query}, {"$sort": {order: 1}}]
    stages += [{"$skip": offset}] if offset else []
    stages += [{"$limit": limit}] if limit is not None else []
    return [*stages, NO_PAYLOAD]


def _bounds(filter: Filter, from_key: tuple[datetime, str] | None) -> dict[str, str]:
    bounds = {}
    if from_key is not None:
        bounds["$gt"] = place(to_microseconds(from_key[0]), from_key[1])
    if filter.after is not None:
        bounds["$gte"] = place(to_microseconds(filter.after), "")
    if filter.before is not None:
        bounds["$lt"] = after(to_microseconds(filter.before))
    return bounds


async def stats(space: Namespace) -> Stats:
    """How much there is, in one pass over the index on status and due time.

    In one pass, so that a message claimed or put back meanwhile is not taken for gone.
    """
    clock = space.now()
    is_due = {"$lt": ["$due", after_expression(clock)]}
    counts = {
        "_id": "$status",
        "count": {"$sum": 1},
        "due": {"$min": {"$cond": [is_due, "$due", None]}},
        "coming": {"$min": {"$cond": [is_due, None, "$due"]}},
    }
    pipeline: list[dict[str, Any]] = [
        {"$match": {"status": {"$in": [*WAITING, ASIDE, CLAIMED, DEAD]}}},
        {"$group": counts},
    ]
    found = {each["_id"]: each for each in await space.aggregate(space.messages, pipeline)}
    waiting = [found[status] for status in WAITING if status in found]
    due, coming = _earliest(waiting, "due"), _earliest(waiting, "coming")
    aside = found.get(ASIDE, {"count": 0})
    return Stats(
        scheduled=aside["count"] + sum(each["count"] for each in waiting),
        claimed=found.get(CLAIMED, {}).get("count", 0),
        dead=found.get(DEAD, {}).get("count", 0),
        oldest_due=due,
        next_due=coming,
        aside=aside["count"],
        oldest_aside=_earliest([aside], "due", "coming"),
    )


def _earliest(groups: Sequence[Mapping[str, Any]], *names: str) -> datetime | None:
    """The first moment of these places, None where there is none."""
    places = (each.get(name) for each in groups for name in names)
    moments = [moment for place in places if (moment := moment_of(place)) is not None]
    return from_microseconds(min(moments)) if moments else None
