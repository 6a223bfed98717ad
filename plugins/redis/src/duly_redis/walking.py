"""Walking along the indexes of all shards at once, in order of ``(scheduled_at, id)``."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from duly import Filter, State
from duly.message import UNREADABLE
from duly.moment import to_microseconds
from duly.record import encodable
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import moment, score

__all__ = ["PAGE", "walk"]

PAGE: Final = 500
"""Messages that are read at a time; a script holds up the server."""

_WALK: Final = script("order", "walk")
_FEWEST: Final = 8  # places that are asked of each index
_FIRST: Final = -(2**60)  # microseconds; no moment is earlier

Where = str | bool
"""An event name, False for all events, True for the dead."""

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
    where: Where = False
    if filter.state is State.DEAD or filter.event_name == UNREADABLE:
        where = True
    elif filter.event_name is not None:
        if not encodable(filter.event_name):
            return
        where = filter.event_name
    start: Start | None = _start(filter, from_key)
    last = None if filter.before is None else score(to_microseconds(filter.before))
    while start is not None:
        places, start = await _places(calls, shards, where, start, size)
        if last is not None and places and places[-1][0] > last:
            places, start = [place for place in places if place[0] <= last], None
        for first in range(0, len(places), size):
            yield [id for _, id in places[first : first + size]]


async def _places(
    calls: Calls, shards: Sequence[Shard], where: Where, start: Start, size: int
) -> tuple[Sequence[Place], Start | None]:
    """Places after a start, in order, and where to go on; None at the end."""
    at, behind = start
    # Of many indexes each has a part of what comes next.
    count = max(_FEWEST, size if where else size // 10)
    found: list[Place] = []
    ends: list[Place] = []
    asked = (0, where, at, False if behind is None else behind, count)
    for answer in await asyncio.gather(*(calls.run(_WALK, shard, *asked) for shard in shards)):
        for index in answer:
            found += [
                (moment(time), id.decode())
                for id, time in zip(index[::2], index[1::2], strict=True)
            ]
            if len(index) == 2 * count:
                ends.append(found[-1])
    found.sort()
    if not ends:
        return found, None
    end = min(ends)  # after it an index may have more that was not read
    return [place for place in found if place <= end], end


def _start(filter: Filter, from_key: tuple[datetime, str] | None) -> Start:
    after = None if filter.after is None else score(to_microseconds(filter.after))
    if from_key is None:
        return (_FIRST if after is None else after), None
    start = score(to_microseconds(from_key[0])), from_key[1]
    return start if after is None or start[0] >= after else (after, None)
