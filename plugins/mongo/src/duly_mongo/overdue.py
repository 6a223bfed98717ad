"""Of which names what is due waits: by the index on status and due time."""

from datetime import datetime
from typing import Any

from duly.moment import from_microseconds, to_microseconds
from duly.store import Overdue, OverdueName
from duly_mongo.ahead import number_of
from duly_mongo.namespace import Namespace
from duly_mongo.places import after, moment_of
from duly_mongo.statuses import SCHEDULED, SUSPECT

__all__ = ["overdue"]


async def overdue(space: Namespace, before: datetime, look_at: int) -> Overdue:
    """Of which names what is due waits in the main line."""
    found: dict[str, tuple[int, int]] = {}
    looked_at = 0
    complete = True
    for status in (SUSPECT, SCHEDULED):
        waits = {"status": status, "due": {"$lt": after(to_microseconds(before))}}
        if looked_at < look_at:
            for name, number, first in await _head(space, waits, look_at - looked_at):
                looked_at += number
                if isinstance(name, str):  # else somebody else has written it
                    before_it, oldest = found.get(name, (0, first))
                    found[name] = before_it + number, min(oldest, first)
        if looked_at >= look_at:
            complete = await number_of(space, waits, look_at + 1) <= look_at and complete
    apart = await _apart(space) if found else set()
    return Overdue(
        names=[
            OverdueName(
                name=name, in_line=number, oldest=from_microseconds(first), aside=name in apart
            )
            for name, (number, first) in found.items()
        ],
        complete=complete,
    )


async def _head(
    space: Namespace, waits: dict[str, Any], limit: int
) -> list[tuple[object, int, int]]:
    stages: list[dict[str, Any]] = [
        {"$match": waits},
        {"$sort": {"due": 1}},
        {"$limit": limit},
        {"$group": {"_id": "$event_name", "number": {"$sum": 1}, "first": {"$min": "$due"}}},
    ]
    return [
        (each["_id"], each["number"], moment_of(each["first"]) or 0)
        for each in await space.aggregate(space.messages, stages)
    ]


async def _apart(space: Namespace) -> set[object]:
    """The names of which something stands aside, each by a step of the server's along the index."""
    stages: list[dict[str, Any]] = [
        {"$match": {"aside.name": {"$gt": ""}}},
        {"$sort": {"aside.name": 1}},
        {"$group": {"_id": "$aside.name"}},
    ]
    return {each["_id"] for each in await space.aggregate(space.messages, stages)}
