"""What callers look at: get, list, stats."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from duly import Filter, Message, State, Stats
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly_mongo.changing import storable
from duly_mongo.documents import show
from duly_mongo.looking import look
from duly_mongo.namespace import Namespace
from duly_mongo.places import after, moment_of, place
from duly_mongo.statuses import CLAIMED, DEAD, WAITING, statuses_of

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
        query["status"] = {"$in": [*statuses_of(filter.state)]}
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
    """How much there is, from the index on status and due time."""
    view = await look(space, 1, suspects=True)
    counts = asyncio.gather(
        *(
            space.messages.count_documents({"status": status})
            for status in (*WAITING, CLAIMED, DEAD)
        )
    )
    later = asyncio.gather(*(_first_after(space, status, view.now) for status in WAITING))
    (ordinary, suspects, claimed, dead), coming = await asyncio.gather(counts, later)
    heads = [moment_of(each.get("due")) for each in (*view.ordinary[:1], *view.suspects[:1])]
    oldest = [moment for moment in heads if moment is not None and moment <= view.now]
    future = [moment for moment in coming if moment is not None]
    return Stats(
        scheduled=ordinary + suspects,
        claimed=claimed,
        dead=dead,
        oldest_due=from_microseconds(min(oldest)) if oldest else None,
        next_due=from_microseconds(min(future)) if future else None,
    )


async def _first_after(space: Namespace, status: str, now: int) -> int | None:
    """The first due time still to come of those with that status."""
    found = await space.find(
        {"status": status, "due": {"$gte": after(now)}}, ["due"], sort=[("due", 1)], limit=1
    )
    return moment_of(found[0]["due"]) if found else None
