"""What is to come: counts of lines by time, series by the set of all that recur."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from duly import Message
from duly.moment import from_microseconds, to_microseconds
from duly.record import UnreadableRecord
from duly.store import DueCounts, Recurring, succeeded
from duly_redis.calls import Calls, script
from duly_redis.following import follows_of
from duly_redis.keys import Shard
from duly_redis.packing import moment, raw, score
from duly_redis.records import STATES, load

__all__ = ["due_counts"]

_SPANS: Final = script("spans")
_RETRIED: Final = script("retried")
_RECURRING: Final = script("payloads", "recurring")
_APART: Final = script("apart")
_SPANS_AT_ONCE: Final = 250  # a script holds up the server
_LOOKED_AT_ONCE: Final = 1000  # messages
_NAMES_AT_ONCE: Final = 1000
_SERIES_AT_ONCE: Final = 100
_FIELDS: Final = 7  # that a script reads of each series


async def due_counts(
    calls: Calls,
    shards: Sequence[Shard],
    bounds: Sequence[datetime],
    *,
    most: int,
    look_at: int,
    all_series: bool,
) -> DueCounts:
    """What waits, by spans; unless ``all_series`` there are some that nobody has noted."""
    ends = [score(to_microseconds(each)) for each in bounds]
    in_line, retries = [0] * len(ends), [0] * len(ends)
    aside = looked_at = 0
    series: list[Recurring] = []
    for shard in shards:
        numbers, beside, found, more = await asyncio.gather(
            _in_spans(calls, shard, ends),
            _aside(calls, shard, most - aside),
            _retried(calls, shard, ends[-1], look_at - looked_at),
            _series(calls, shard, look_at + 1 - len(series)),
        )
        for span, number in enumerate(numbers):
            in_line[span] += number
        for due_at in found[1:]:
            retries[bisect_left(ends, due_at)] += 1
        looked_at += found[0]
        aside += beside
        series += more
    return DueCounts(
        in_line=in_line,
        retries=retries,
        aside=aside,
        series=series[:look_at],
        looked_at=looked_at,
        complete=all_series
        and len(series) <= look_at
        and (looked_at < look_at or sum(in_line) <= looked_at),
    )


async def _in_spans(calls: Calls, shard: Shard, ends: Sequence[int]) -> Sequence[int]:
    found: list[int] = []
    low: int | bool = False
    for start in range(0, len(ends), _SPANS_AT_ONCE):
        some = ends[start : start + _SPANS_AT_ONCE]
        found += await calls.run(_SPANS, shard, 0, [low, *some])
        low = some[-1]
    return found


async def _aside(calls: Calls, shard: Shard, most: int) -> int:
    """How much stands aside, counted until there is more than that."""
    first = number = 0
    while number <= most:
        names, more = await calls.run(_APART, shard, 0, first, _NAMES_AT_ONCE)
        first, number = first + names, number + more
        if names < _NAMES_AT_ONCE:
            break
    return number


async def _retried(calls: Calls, shard: Shard, last: int, limit: int) -> Sequence[int]:
    """How many were looked at, suspects first; then when those that are retries are due."""
    looked_at, retries = 0, list[int]()
    for suspects in (True, False):
        first = 0
        while looked_at < limit:
            count = min(_LOOKED_AT_ONCE, limit - looked_at)
            number, *found = await calls.run(_RETRIED, shard, 0, suspects, first, count, last)
            looked_at, first = looked_at + number, first + number
            retries += [moment(each) for each in found]
            if number < count:
                break
    return [looked_at, *retries]


async def _series(calls: Calls, shard: Shard, limit: int) -> Sequence[Recurring]:
    found: list[Recurring] = []
    cursor: Any = b"0"
    seen: set[bytes] = set()
    while len(found) < limit:
        cursor, members = await calls.command(
            "SSCAN", f"{shard.base}series", cursor, "COUNT", str(_SERIES_AT_ONCE)
        )
        new = [each for each in members if each not in seen]
        seen.update(new)
        answer = await calls.run(_RECURRING, shard, 0, [raw(each) for each in new]) if new else ()
        for at in range(0, len(answer), _FIELDS):
            series = _recurring(*answer[at : at + _FIELDS])
            found += [] if series is None else [series]
        if int(cursor) == 0:
            break
    return found


def _recurring(  # noqa: PLR0917  # as a script gives them
    id: bytes,
    value: bytes,
    state: int,
    due_at: bytes | None,
    aside: int,
    changes: bytes | None,
    follows: bytes | None,
) -> Recurring | None:
    try:
        message = load(id.decode(), value, changes, STATES[state])
    except UnreadableRecord:
        return None
    return Recurring(
        message=message,
        due_at=None if due_at is None else from_microseconds(moment(due_at)),
        aside=bool(aside),
        follows=None if follows is None else _following(message, follows),
    )


def _following(message: Message, follows: bytes) -> Message | None:
    try:
        return succeeded(message, follows_of(follows).successor, message.occurrence_count)
    except UnreadableRecord:
        return None
