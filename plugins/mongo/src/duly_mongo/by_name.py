"""Event names, and how much there is of each: by the index on them."""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from duly.moment import from_microseconds
from duly.store import NameStats
from duly_mongo.ahead import ASIDE, AT_ONCE
from duly_mongo.namespace import Namespace
from duly_mongo.places import after_expression, moment_of
from duly_mongo.statuses import CLAIMED, WAITING

__all__ = ["by_name"]

_ENOUGH: Final = 100_000  # messages; a page that has looked at so many ends there


async def by_name(
    space: Namespace, after: str | None, limit: int, most: int
) -> Sequence[NameStats]:
    """The event names behind one, and how much there is of each."""
    known = await _known(space, after or "", limit)
    found: list[NameStats] = []
    looked_at = 0
    for start in range(0, len(known), AT_ONCE):
        some = [_stats(space, name, most) for name in known[start : start + AT_ONCE]]
        for number, stats in await asyncio.gather(*some):
            looked_at += number
            if number:  # else the last of them went meanwhile
                found.append(stats)
        if looked_at >= _ENOUGH and found:
            break
    return found


async def _known(space: Namespace, after: str, limit: int) -> Sequence[str]:
    """Names, each by a step of the server's along the index."""
    stages: list[dict[str, Any]] = [
        {"$match": {"event_name": {"$gt": after}}},
        {"$sort": {"event_name": 1}},
        {"$group": {"_id": "$event_name"}},
        {"$sort": {"_id": 1}},
        {"$limit": limit},
    ]
    return [each["_id"] for each in await space.aggregate(space.messages, stages)]


async def _stats(space: Namespace, name: str, most: int) -> tuple[int, NameStats]:
    """How many messages were looked at, and what is known of the name."""
    is_due = {"$lt": ["$due", after_expression(space.now())]}
    counts = {
        "_id": "$status",
        "number": {"$sum": 1},
        "due": {"$sum": {"$cond": [is_due, 1, 0]}},
        "oldest": {"$min": {"$cond": [is_due, "$due", None]}},
    }
    stages: list[dict[str, Any]] = [
        {"$match": {"event_name": name}},
        {"$limit": most + 1},
        {"$group": counts},
    ]
    groups = {each["_id"]: each for each in await space.aggregate(space.messages, stages)}
    waiting = [groups[status] for status in (*WAITING, ASIDE) if status in groups]
    places = [moment for each in waiting if (moment := moment_of(each["oldest"])) is not None]
    number = sum(each["number"] for each in groups.values())
    claimed = groups.get(CLAIMED, {}).get("number", 0)
    scheduled = sum(each["number"] for each in waiting)
    return number, NameStats(
        name=name,
        scheduled=scheduled,
        due=sum(each["due"] for each in waiting),
        aside=groups.get(ASIDE, {}).get("number", 0),
        claimed=claimed,
        dead=number - scheduled - claimed,
        oldest=from_microseconds(min(places)) if places else None,
        at_least=number > most,
    )
