"""Event names, and how much there is of each: by their indexes and the heads of the lines."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from duly.moment import from_microseconds
from duly.store import NameStats
from duly_redis.calls import Calls, script
from duly_redis.keys import Shard
from duly_redis.packing import moment, raw

__all__ = ["by_name"]

_NAMED: Final = script("named")
_OVERDUE: Final = script("overdue")
_HELD: Final = script("holding", "held_by_name")
_BURIED: Final = script("buried_of")
_SCANNED: Final = "4000"  # names; a script, as a scan, holds up the server
_NAMES_AT_ONCE: Final = 250
_LOOKED_AT_ONCE: Final = 1000  # messages
_ENOUGH: Final = 100_000  # messages; a page that has looked at so many ends there


@attrs.define
class _Counts:
    """What is known of a name so far."""

    number: int = 0
    due: int = 0
    aside: int = 0
    claimed: int = 0
    dead: int = 0
    oldest: int | None = None
    left_out: int = 0  # that may be dead or not

    def comes(self, due_at: int) -> None:
        """One is due then."""
        self.oldest = due_at if self.oldest is None else min(self.oldest, due_at)


async def by_name(
    calls: Calls, shards: Sequence[Shard], clock: int, *, after: str | None, limit: int, most: int
) -> Sequence[NameStats]:
    """The event names behind one, and how much there is of each.

    All names are looked through for the first of them: they are kept in no order.
    """
    behind = b"" if after is None else after.encode()
    known = {name for shard in shards for name in await _names(calls, shard) if name > behind}
    counts = {name: _Counts() for name in sorted(known)[:limit]}
    walked: list[bool] = []
    for shard in shards:
        is_walked, sizes = await asyncio.gather(
            _count_due(calls, shard, clock, counts, most),
            _count_kept(calls, shard, clock, counts),
        )
        walked.append(is_walked)
        if sizes:  # there are dead letters among them
            await _count_dead(calls, shard, counts, sizes, most)
    return [
        _stats(name.decode(), each, is_walked=all(walked))
        for name, each in counts.items()
        if each.number
    ]


async def _names(calls: Calls, shard: Shard) -> set[bytes]:
    cursor: Any = "0"
    found: set[bytes] = set()
    while True:
        cursor, some = await calls.command("SSCAN", shard.key("names"), cursor, "COUNT", _SCANNED)
        found.update(some)
        if int(cursor) == 0:
            return found


async def _count_due(
    calls: Calls, shard: Shard, clock: int, counts: Mapping[bytes, _Counts], most: int
) -> bool:
    """Count what is due in line; whether that was all of it."""
    for suspects in (True, False):
        first = 0
        while True:
            if first >= most:
                return False
            asked = min(_LOOKED_AT_ONCE, most - first)
            number, *found = await calls.run(_OVERDUE, shard, clock, suspects, first, asked)
            for name, due, oldest in zip(found[::3], found[1::3], found[2::3], strict=True):
                if name in counts:
                    counts[name].due += due
                    counts[name].comes(moment(oldest))
            first += number
            if number < asked:
                break
    return True


async def _count_kept(
    calls: Calls, shard: Shard, clock: int, counts: Mapping[bytes, _Counts]
) -> Mapping[bytes, int]:
    """Count what there is, what stands aside and what is in hand.

    How many messages of each name are here if there are dead letters, else nothing.
    """
    held = await calls.run(_HELD, shard, clock)
    for name, number in zip(held[::2], held[1::2], strict=True):
        if name in counts:
            counts[name].claimed += number
    sizes: dict[bytes, int] = {}
    names = list(counts)
    for start in range(0, len(names), _NAMES_AT_ONCE):
        some = names[start : start + _NAMES_AT_ONCE]
        dead, *found = await calls.run(_NAMED, shard, clock, [raw(each) for each in some])
        for place, name in enumerate(some):
            number, aside, oldest = found[3 * place : 3 * place + 3]
            each = counts[name]
            each.number += number
            if oldest is not None:
                each.aside += aside
                each.due += aside
                each.comes(moment(oldest))
            if dead and number:
                sizes[name] = number
    return sizes


async def _count_dead(
    calls: Calls,
    shard: Shard,
    counts: Mapping[bytes, _Counts],
    sizes: Mapping[bytes, int],
    most: int,
) -> None:
    """Count dead letters among the first messages of each name."""
    asked: list[tuple[bytes, int, int]] = []
    for name, size in sizes.items():
        counts[name].left_out += max(0, size - most)
        seen = min(size, most)
        asked += [
            (name, first, min(_LOOKED_AT_ONCE, seen - first))
            for first in range(0, seen, _LOOKED_AT_ONCE)
        ]
    while asked:
        some, number = [], 0
        while asked and number + asked[-1][2] <= 2 * _LOOKED_AT_ONCE:
            some.append(asked.pop())
            number += some[-1][2]
        words = [word for name, first, count in some for word in (raw(name), first, count)]
        for (name, _, _), dead in zip(some, await calls.run(_BURIED, shard, 0, words), strict=True):
            counts[name].dead += dead


def _stats(name: str, counts: _Counts, *, is_walked: bool) -> NameStats:
    seen = counts.number - counts.left_out
    scheduled = max(0, seen - counts.dead - counts.claimed)
    return NameStats(
        name=name,
        scheduled=max(scheduled, counts.due),
        due=counts.due,
        aside=counts.aside,
        claimed=counts.claimed,
        dead=counts.dead,
        oldest=None if counts.oldest is None else from_microseconds(counts.oldest),
        at_least=bool(counts.left_out) or (not is_walked and counts.due < scheduled),
    )
