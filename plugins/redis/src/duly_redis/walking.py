"""Walking along the indexes of all shards at once, in order of ``(scheduled_at, id)``.

Each event name has an index of its own, and there may be very many. So the first place of each is
asked for, some names at a time, and then more of those alone whose first places come first: nothing
else can be among the next.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final

from duly import Filter, State
from duly.message import UNREADABLE
from duly.moment import to_microseconds
from duly.record import encodable
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import moment, raw, score

__all__ = ["PAGE", "walk"]

PAGE: Final = 500
"""Messages that are read at a time; a script holds up the server."""

_FIRSTS: Final = script("order", "places_in", "firsts")
_WALK: Final = script("order", "places_in", "walk")
_FEWEST: Final = 2  # places that are asked of each index
_PLACES_AT_ONCE: Final = 1000  # of one script
_NAMES_AT_ONCE: Final = 1000
_FIRST: Final = -(2**60)  # microseconds; no moment is earlier

Index = tuple[Shard, bytes | bool]
"""The index of an event name, or with True that of the dead, in a shard."""

Place = tuple[int, str]
"""Where a message stands in an index: time and id."""

Start = tuple[int, str | None]
"""A time, and the id after which to start at that time; None for all."""


async def walk(
    calls: Calls,
    shards: Sequence[Shard],
    filter: Filter,
    from_key: tuple[datetime, str] | None,
    size: int,
) -> AsyncIterator[Sequence[str]]:
    """The ids of messages that may match, in order, up to ``size`` at a time."""
    where: bytes | bool = False
    if filter.state is State.DEAD or filter.event_name == UNREADABLE:
        where = True
    elif filter.event_name is not None:
        if not encodable(filter.event_name):
            return
        where = filter.event_name.encode()
    start: Start | None = _start(filter, from_key)
    last = None if filter.before is None else score(to_microseconds(filter.before))
    while start is not None:
        if where is False:
            firsts = (_first_of(calls, shard, start, last, size) for shard in shards)
            indexes = [*chain.from_iterable(await asyncio.gather(*firsts))]
        else:
            indexes = [(shard, where) for shard in shards]
        places = await _next(calls, indexes, start, size)
        start = places[-1] if len(places) == size else None
        if last is not None and places and places[-1][0] > last:
            places, start = [place for place in places if place[0] <= last], None
        if places:
            yield [id for _, id in places]


async def _first_of(
    calls: Calls, shard: Shard, start: Start, last: int | None, size: int
) -> Sequence[Index]:
    """The indexes by name that may have one of the next places, of which there are ``size``."""
    cursor: Any = b"0"
    found: dict[bytes, Place] = {}
    at, behind = start
    while True:
        cursor, *answer = await calls.run(
            _FIRSTS, shard, 0, cursor.decode(), _NAMES_AT_ONCE, at, behind or False,
            False if last is None else last,
        )  # fmt: skip
        for name, id, time in zip(answer[::3], answer[1::3], answer[2::3], strict=True):
            found[name] = moment(time), id.decode()
        if len(found) > size:  # others cannot be among the next
            found = dict(heapq.nsmallest(size, found.items(), key=_place_of))
            last = score(max(time for time, _ in found.values()))
        if int(cursor) == 0:
            return [(shard, name) for name in found]


def _place_of(first: tuple[bytes, Place]) -> Place:
    return first[1]


async def _next(calls: Calls, indexes: Sequence[Index], start: Start, size: int) -> Sequence[Place]:
    """The next places of all of them together, in order; fewer than ``size`` are all there are."""
    found: list[Place] = []
    more: dict[Index, Start] = dict.fromkeys(indexes, start)  # that may have more behind there
    count = max(_FEWEST, 2 * size // max(1, len(indexes)))
    while more:
        count = min(count, size)
        answers = await _read(calls, more, count)
        for index, places in answers.items():
            found += places
            if len(places) < count:
                del more[index]
            else:
                more[index] = places[-1]
        found.sort()
        del found[size:]
        if len(found) == size:  # what an index has behind the last of them comes later
            more = {index: at for index, at in more.items() if at < found[-1]}
        count *= 4
    return found


async def _read(
    calls: Calls, starts: dict[Index, Start], count: int
) -> dict[Index, Sequence[Place]]:
    """Up to so many places of each behind its start."""
    of_shard: dict[Shard, list[tuple[Index, Start]]] = {}
    for index, start in starts.items():
        of_shard.setdefault(index[0], []).append((index, start))
    at_once = max(1, _PLACES_AT_ONCE // count)
    asked = [
        some[first : first + at_once]
        for some in of_shard.values()
        for first in range(0, len(some), at_once)
    ]
    answers = await asyncio.gather(*(_ask(calls, some, count) for some in asked))
    return dict(chain.from_iterable(answers))


async def _ask(
    calls: Calls, asked: Sequence[tuple[Index, Start]], count: int
) -> Sequence[tuple[Index, Sequence[Place]]]:
    words = [
        (where if isinstance(where, bool) else raw(where), at, behind or False, count)
        for (_, where), (at, behind) in asked
    ]
    shard = asked[0][0][0]
    answer = await calls.run(_WALK, shard, 0, *words)
    return [
        (
            index,
            [(moment(time), id.decode()) for id, time in zip(each[::2], each[1::2], strict=True)],
        )
        for (index, _), each in zip(asked, answer, strict=True)
    ]


def _start(filter: Filter, from_key: tuple[datetime, str] | None) -> Start:
    after = None if filter.after is None else score(to_microseconds(filter.after))
    if from_key is None:
        return (_FIRST if after is None else after), None
    start = score(to_microseconds(from_key[0])), from_key[1]
    return start if after is None or start[0] >= after else (after, None)
