"""What is to come: counts by the index on status and due time, series by one of their own."""

import asyncio
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from duly import Message, State
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly.store import Due, DueCounts, Recurring, succeeded
from duly_mongo.following import following
from duly_mongo.listing import NO_PAYLOAD
from duly_mongo.namespace import Namespace
from duly_mongo.places import after, moment_of, place
from duly_mongo.records import show
from duly_mongo.statuses import CLAIMED, SCHEDULED, SUSPECT, WAITING, state_of

__all__ = ["ASIDE", "AT_ONCE", "due_between", "due_counts", "number_of"]

ASIDE: Final = "aside"
"""The status of what stands in a siding."""

AT_ONCE: Final = 16
"""Questions under way at a time, where there are many small ones."""

_LOOKED_AT: Final = ("status", "due", "retry_count", "recurrence")


async def due_counts(
    space: Namespace, bounds: Sequence[datetime], most: int, look_at: int
) -> DueCounts:
    """What waits, by spans."""
    ends = [to_microseconds(each) for each in bounds]
    in_line = [*await _in_spans(space, ends, most + 1)]
    retries, looked_at, suspects = [0] * len(ends), 0, 0
    for status in (SUSPECT, SCHEDULED):
        found = await space.find(
            {"status": status, "due": {"$lt": after(ends[-1])}},
            _LOOKED_AT,
            sort=[("due", 1)],
            limit=look_at + 1 - suspects,
        )
        for document in found:
            span = bisect_left(ends, moment_of(document.get("due")) or 0)
            looked_at += 1
            suspects += status == SUSPECT
            in_line[span] += status == SUSPECT
            retries[span] += looked_at <= look_at and _is_retry(document)
    aside = await number_of(space, {"status": ASIDE}, most + 1)
    series = await _series(space, look_at + 1)
    return DueCounts(
        in_line=in_line,
        retries=retries,
        aside=aside,
        series=series[:look_at],
        looked_at=min(looked_at, look_at),
        complete=looked_at <= look_at and len(series) <= look_at,
    )


async def due_between(
    space: Namespace, since: datetime, until: datetime, limit: int
) -> Sequence[Due]:
    """What waits in the main line between two moments."""
    bounds = {"$gte": place(to_microseconds(since), ""), "$lt": after(to_microseconds(until))}
    found: list[dict[str, Any]] = []
    for status in (SUSPECT, SCHEDULED):
        stages: list[dict[str, Any]] = [
            {"$match": {"status": status, "due": bounds}},
            {"$sort": {"due": 1}},
            {"$limit": limit},
        ]
        found += await space.aggregate(space.messages, [*stages, NO_PAYLOAD])
    found.sort(key=itemgetter("due"))
    return [
        Due(message=show(document), due_at=from_microseconds(moment_of(document["due"]) or 0))
        for document in found[:limit]
    ]


async def _in_spans(space: Namespace, ends: Sequence[int], limit: int) -> Sequence[int]:
    """How much of what is no suspect waits in each span, counted up to a limit."""
    limits = asyncio.Semaphore(AT_ONCE)

    async def count(bounds: Mapping[str, str]) -> int:
        async with limits:
            return await number_of(space, {"status": SCHEDULED, "due": bounds}, limit)

    lows: list[dict[str, str]] = [{}, *({"$gte": after(each)} for each in ends[:-1])]
    spans = [low | {"$lt": after(each)} for low, each in zip(lows, ends, strict=True)]
    return await asyncio.gather(*map(count, spans))


async def number_of(space: Namespace, query: Mapping[str, Any], limit: int) -> int:
    """How many messages match, counted up to a limit."""
    stages: list[dict[str, Any]] = [{"$match": query}, {"$limit": limit}, {"$count": "number"}]
    found = await space.aggregate(space.messages, stages)
    return int(found[0]["number"]) if found else 0


def _is_retry(document: Mapping[str, Any]) -> bool:
    tries = document.get("retry_count")
    return isinstance(tries, int) and tries > 0 and document.get("recurrence") is None


async def _series(space: Namespace, limit: int) -> Sequence[Recurring]:
    query = {"recurrence": {"$gt": ""}, "status": {"$in": [*WAITING, ASIDE, CLAIMED]}}
    found = await space.aggregate(
        space.messages, [{"$match": query}, {"$limit": limit}, NO_PAYLOAD]
    )
    return [each for document in found if (each := _recurring(document)) is not None]


def _recurring(document: Mapping[str, Any]) -> Recurring | None:
    message, status = show(document), document.get("status")
    if message.event_name == UNREADABLE:
        return None
    due_at = moment_of(document.get("due")) if state_of(status) is State.SCHEDULED else None
    return Recurring(
        message=message,
        due_at=None if due_at is None else from_microseconds(due_at),
        aside=status == ASIDE,
        follows=_following(message, document),
    )


def _following(message: Message, document: Mapping[str, Any]) -> Message | None:
    successor = following(document)
    if successor is None:
        return None
    return succeeded(message, successor, message.occurrence_count)
