"""What is due between two moments: along the lines of all shards."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from duly.moment import from_microseconds, to_microseconds
from duly.store import Due
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import moment, score
from duly_redis.records import Kept, show

__all__ = ["due_between"]

_BETWEEN: Final = script("payloads", "between")
_AT_ONCE: Final = 500  # messages; a script holds up the server
_FIELDS: Final = 5  # that a script reads of each


async def due_between(
    calls: Calls, shards: Sequence[Shard], since: datetime, until: datetime, limit: int
) -> Sequence[Due]:
    """What waits in the main line between two moments."""
    bounds = score(to_microseconds(since)), score(to_microseconds(until))
    lines = await asyncio.gather(
        *(
            _in_line(calls, shard, bounds, limit, suspects=suspects)
            for shard in shards
            for suspects in (True, False)
        )
    )
    found = sorted((each for line in lines for each in line), key=attrgetter("due_at"))
    return found[:limit]


async def _in_line(
    calls: Calls, shard: Shard, bounds: tuple[int, int], limit: int, *, suspects: bool
) -> Sequence[Due]:
    found: list[Due] = []
    looked_at = 0
    while len(found) < limit:
        count = min(_AT_ONCE, limit - len(found))
        number, *answer = await calls.run(_BETWEEN, shard, 0, suspects, *bounds, looked_at, count)
        for at in range(0, len(answer), _FIELDS):
            due_at, id, value, listed, changes = answer[at : at + _FIELDS]
            kept = Kept(id.decode(), value, 0, listed, changes, None)
            found.append(Due(message=show(kept), due_at=from_microseconds(moment(due_at))))
        looked_at += number
        if number < count:
            break
    return found
