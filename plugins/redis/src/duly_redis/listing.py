"""What callers read: one message, in whose hands it is, pages of them, counts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Final

from duly import Filter, Message, State, Stats
from duly.moment import from_microseconds
from duly.record import UnreadableRecord, encodable
from duly.store import Whereabouts, succeeded
from duly_redis.asking import Asking
from duly_redis.calls import Calls, script
from duly_redis.following import follows_of
from duly_redis.keys import Shard, home
from duly_redis.packing import moment
from duly_redis.records import STATES, Kept, load, show
from duly_redis.walking import PAGE, walk

__all__ = ["Listing"]

_READ: Final = script("payloads", "read")
_HELD: Final = script("held")
_STATS: Final = script("stats")
_WHERE: Final = script("where")
_SIDINGS: Final = 1000  # that are asked at once, some 6 us each
_MOST_PLACES: Final = 2000  # that are looked for at a time
_FIELDS: Final = 6  # that a script reads of each


class Listing:
    """Reads all shards."""

    def __init__(self, calls: Calls, shards: Sequence[Shard]) -> None:
        self._calls = calls
        self._shards = shards
        self._asking = Asking(calls, shards)

    async def read(self, ids: Sequence[str], *, payload: bool = True) -> Sequence[Kept | None]:
        """What is kept under each id, None for an unknown one; payloads are optional."""
        found: dict[str, Kept] = {}
        for shard, group in self.by_shard(ids):
            for start in range(0, len(group), PAGE):
                page = group[start : start + PAGE]
                answer = await self._calls.run(_READ, shard, 0, page, payload)
                for number, id in enumerate(page):
                    value, *rest = answer[number * _FIELDS : (number + 1) * _FIELDS]
                    if value is not None:
                        found[id] = Kept(id, value, *rest)
        return [found.get(id) for id in ids]

    async def where(self, id: str) -> Whereabouts | None:
        """In whose hands a message is; None when there is none."""
        if not encodable(id):
            return None
        answer = await self._calls.run(_WHERE, self._shards[home(id, len(self._shards))], 0, id)
        if not answer:
            return None
        state, due_at, lapses, owner, end, follows, value, changes, aside = answer
        return Whereabouts(
            state=STATES[state],
            due_at=None if due_at is None else from_microseconds(moment(due_at)),
            lapses=int(lapses or 0),
            owner=None if owner is None else owner.decode(),
            lease_ends_at=None if end is None else from_microseconds(moment(end)),
            follows=None if follows is None else _following(id, value, changes, follows),
            aside=bool(aside),
        )

    async def find(
        self, filter: Filter, from_key: tuple[datetime, str] | None, *, payload: bool
    ) -> list[Message]:
        """The messages that match, in order."""
        found: list[Message] = []
        skip, seen = filter.offset, set[str]()
        async for message in self._all(filter, from_key, payload=payload):
            if message.id in seen or not _matches(message, filter, from_key):
                continue
            seen.add(message.id)
            if skip:
                skip -= 1
                continue
            found.append(message)
            if len(found) == filter.limit:
                break
        return found

    async def _counted(self, number: int, clock: int) -> Sequence[Any]:
        """What a shard tells, and the first due time of each thousand of its sidings."""
        shard = self._shards[number]
        *told, aside, first, last = await self._calls.run(_STATS, shard, clock, "", _SIDINGS)
        firsts = [first]
        while last:
            *_, more, first, last = await self._calls.run(
                _STATS, shard, clock, last.decode(), _SIDINGS
            )
            aside += more
            firsts.append(first)
        return [*told, aside, firsts]

    async def stats(self, clock: int) -> Stats:
        """Counts and first moments of all shards.

        They are of one moment, as long as a shard has no more than 1,000 sidings: of more, each
        thousand is asked for by itself, so that nobody waits long.

        Raises:
            PartlyUnavailable: some shards do not answer.
        """
        answers = await self._asking.all(
            {number: self._counted(number, clock) for number in self._asking.present()}
        )
        for shard in self._shards:
            self._calls.away.refuse(shard)
        scheduled = claimed = dead = aside = 0
        oldest: list[int] = []
        coming: list[int] = []
        firsts_aside: list[int] = []
        for now, kept, in_line, buried, *moments, beside, first_aside in answers.values():
            scheduled, dead, aside = scheduled + in_line + beside, dead + buried, aside + beside
            claimed += kept - in_line - beside - buried
            firsts_aside += map(moment, filter(None, first_aside))
            firsts = [moment(each) for each in moments[:2] if each]
            oldest += [each for each in firsts if each <= now]
            coming += [moment(each) for each in moments[2:] if each]
        return Stats(
            scheduled=scheduled,
            claimed=max(claimed, 0),
            dead=dead,
            oldest_due=from_microseconds(min(oldest)) if oldest else None,
            next_due=from_microseconds(min(coming)) if coming else None,
            aside=aside,
            oldest_aside=from_microseconds(min(firsts_aside)) if firsts_aside else None,
        )

    def by_shard(self, ids: Sequence[str]) -> Sequence[tuple[Shard, Sequence[str]]]:
        """The ids that each shard may have, for those that may have some."""
        groups: dict[int, list[str]] = {}
        for id in (id for id in ids if encodable(id)):
            groups.setdefault(home(id, len(self._shards)), []).append(id)
        return [(self._shards[number], group) for number, group in groups.items()]

    async def _all(
        self, filter: Filter, from_key: tuple[datetime, str] | None, *, payload: bool
    ) -> AsyncIterator[Message]:
        """What may match, in order."""
        if filter.state is State.CLAIMED:
            held = await asyncio.gather(
                *(self._calls.run(_HELD, shard, 0) for shard in self._shards)
            )
            claimed = [member.partition(b"\n")[2].decode() for each in held for member in each]
            for message in sorted(await self._shown(claimed, payload), key=_place):
                yield message
            return
        size = PAGE
        if (
            filter.limit is not None
        ):  # to look for more in many indexes takes longer than to read it
            size = min(_MOST_PLACES, filter.offset + filter.limit)
            size = size if filter.state is None else max(size, PAGE)
        async for ids in walk(self._calls, self._shards, filter, from_key, size):
            for message in sorted(await self._shown(ids, payload), key=_place):
                yield message

    async def _shown(self, ids: Sequence[str], payload: bool) -> Sequence[Message]:  # as in list()
        found = await self.read(ids, payload=payload)
        return [show(kept) for kept in found if kept is not None]


def _matches(message: Message, filter: Filter, from_key: tuple[datetime, str] | None) -> bool:
    """Whether it matches by now, and exactly."""
    return (
        (filter.state is None or message.state is filter.state)
        and (filter.event_name is None or message.event_name == filter.event_name)
        and (filter.before is None or message.scheduled_at <= filter.before)
        and (filter.after is None or message.scheduled_at >= filter.after)
        and (from_key is None or _place(message) > from_key)
    )


def _following(id: str, value: bytes, changes: bytes | None, follows: bytes) -> Message | None:
    try:
        message = load(id, value, changes)
        return succeeded(message, follows_of(follows).successor, message.occurrence_count)
    except UnreadableRecord:
        return None


def _place(message: Message) -> tuple[datetime, str]:
    return message.scheduled_at, message.id
