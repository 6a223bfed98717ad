"""Of which names what is due waits: along the lines of all shards, a bounded script at a time."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs

from duly.moment import from_microseconds, to_microseconds
from duly.store import Overdue, OverdueName
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import moment, raw, score

__all__ = ["overdue"]

_OVERDUE: Final = script("overdue")
_APART: Final = script("apart")
_NAMED: Final = script("named")
_LOOKED_AT_ONCE: Final = 1000  # messages; a script holds up the server
_NAMES_AT_ONCE: Final = 250


@attrs.define
class _Walk:
    """How far a shard's lines have been looked at: suspects first."""

    shard: Shard
    suspects: bool = True
    first: int = 0


async def overdue(calls: Calls, shards: Sequence[Shard], before: datetime, look_at: int) -> Overdue:
    """Of which names what is due waits in the main line; of several shards in equal shares."""
    end = score(to_microseconds(before))
    found: dict[bytes, tuple[int, int]] = {}  # how many, and when the first is due
    walks, left = [_Walk(each) for each in shards], look_at
    while walks and left:
        share = max(1, min(_LOOKED_AT_ONCE, left // len(walks)))
        for walk in [*walks]:
            asked = min(share, left)
            number, *names = await calls.run(
                _OVERDUE, walk.shard, end, walk.suspects, walk.first, asked
            )
            for name, due, oldest in zip(names[::3], names[1::3], names[2::3], strict=True):
                before_it, first = found.get(name, (0, moment(oldest)))
                found[name] = before_it + due, min(first, moment(oldest))
            walk.first += number
            left -= number
            if number < asked:
                _go_on(walks, walk)
            if not left:
                break
    apart = await _apart(calls, shards, [*found])
    return Overdue(
        names=[
            OverdueName(
                name=name.decode(),
                in_line=number,
                oldest=from_microseconds(first),
                aside=name in apart,
            )
            for name, (number, first) in found.items()
        ],
        complete=not await _any_more(calls, walks, end),
    )


def _go_on(walks: list[_Walk], walk: _Walk) -> None:
    """One of a shard's lines has been walked to its end."""
    if walk.suspects:
        walk.suspects, walk.first = False, 0
    else:
        walks.remove(walk)


async def _any_more(calls: Calls, walks: list[_Walk], end: int) -> bool:
    while walks:
        walk = walks[0]
        number, *_ = await calls.run(_OVERDUE, walk.shard, end, walk.suspects, walk.first, 1)
        if number:
            return True
        _go_on(walks, walk)
    return False


async def _apart(calls: Calls, shards: Sequence[Shard], names: Sequence[bytes]) -> set[bytes]:
    """Those of the names of which something stands aside."""
    apart: set[bytes] = set()
    for shard in shards if names else ():
        any_name, _ = await calls.run(_APART, shard, 0, 0, 1)
        for start in range(0, len(names) if any_name else 0, _NAMES_AT_ONCE):
            some = names[start : start + _NAMES_AT_ONCE]
            _, *found = await calls.run(_NAMED, shard, 0, [raw(each) for each in some])
            apart.update(name for name, aside in zip(some, found[1::3], strict=True) if aside)
    return apart
