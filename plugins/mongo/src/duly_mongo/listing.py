"""What callers look at: get, list, stats."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from duly import Filter, Message, State, Stats
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly_mongo.changing import storable
from duly_mongo.documents import show
from duly_mongo.namespace import Namespace
from duly_mongo.places import after, after_expression, moment_of, place
from duly_mongo.statuses import CLAIMED, DEAD, WAITING, in_state

__all__ = ["get", "list_", "stats"]


async def get(space: Namespace, id: str) -> Message | None:
    """The message of that id; None when there is none."""
    if not storable(id):
        return None
    document = await space.messages.find_one({"_id": id})
    return None if document is None else show(document)


async def list_(
    space: Namespace, filter: Filter, from_key: tuple[datetime, str] | None
) -> Sequence[Message]:
    """The messages that match, by ``(scheduled_at, id)``."""
    if filter.event_name is not None and not storable(filter.event_name):
        return ()
    order = "place"
    query: dict[str, Any] = {}
    if filter.event_name not in (None, UNREADABLE):
        query["event_name"] = filter.event_name
    if filter.state is State.DEAD or filter.event_name == UNREADABLE:
        order = "dead"  # a place as well, that only dead letters have
        query["dead"] = {"$gt": ""}
    elif filter.state is not None:
        query["status"] = in_state(filter.state)
    if filter.event_name == UNREADABLE:
        query["unreadable"] = True
        if filter.state not in (None, State.DEAD):
            return ()
    if bounds := _bounds(filter, from_key):
        query[order] = bounds
    cursor = space.messages.find(query).sort(order, 1).skip(filter.offset)
    if filter.limit is not None:
        cursor = cursor.limit(filter.limit).batch_size(filter.limit + 1)
    return [show(document) for document in await cursor.to_list(None)]


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

    In one, so that what changes hands meanwhile is not taken for gone.
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
        {"$match": {"status": {"$in": [*WAITING, CLAIMED, DEAD]}}},
        {"$group": counts},
    ]
    found = {each["_id"]: each for each in await space.aggregate(space.messages, pipeline)}
    waiting = [found[status] for status in WAITING if status in found]
    due, coming = (
        [moment for each in waiting if (moment := moment_of(each[name])) is not None]
        for name in ("due", "coming")
    )
    return Stats(
        scheduled=sum(each["count"] for each in waiting),
        claimed=found.get(CLAIMED, {}).get("count", 0),
        dead=found.get(DEAD, {}).get("count", 0),
        oldest_due=from_microseconds(min(due)) if due else None,
        next_due=from_microseconds(min(coming)) if coming else None,
    )
