"""Finding what a filter asks for, page by page, also where a store cannot look for it by itself.

A store is asked for what every store can find: an event name, a state, bounds of ``scheduled_at``.
Whatever else a filter says is looked up in each message, and its limit, offset and order are then
kept here. So a store that does not know a word of a filter is slow and never wrong.
"""

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Final

import attrs

from duly._caller.calls import StoreCalls
from duly._values.matching import matches
from duly._values.patterns import is_prefix
from duly.message import Filter, Message, State, without_payload
from duly.moment import to_microseconds

__all__ = ["Key", "Walk", "is_simple", "key_of", "state_of"]

Key = tuple[datetime, str]
"""Where a message stands in a list: ``scheduled_at`` and id."""

_PAGE: Final = 500  # messages
_LIGHT_PAGE: Final = 2000  # messages without their payloads
_FIRST_PAGE: Final = 32  # messages, while nobody knows how large they are
_PAGE_BYTES: Final = 32 * 1024 * 1024
_AT_ONCE: Final = 50  # messages that are asked for by their ids side by side


def is_simple(filter: Filter) -> bool:
    """Whether every store finds by itself just what the filter asks for."""
    return attrs.evolve(_simple_part(filter), limit=filter.limit, offset=filter.offset) == filter


def state_of(filter: Filter) -> State | None:
    """The state in which all are that the filter asks for; None if they may be in any."""
    if filter.state is not None:
        return filter.state
    if filter.phase is not None:
        return filter.phase.state
    dead = filter.error_class or filter.died_before or filter.died_after
    return State.DEAD if dead else None


def _simple_part(filter: Filter) -> Filter:
    """What every store can find by itself: all that the whole filter asks for is among it."""
    name = filter.event_name
    plain = name is None or not is_prefix(name)
    return Filter(
        event_name=name if plain else None,
        before=filter.before,
        after=filter.after,
        state=state_of(filter),
    )


class Walk:
    """One search through the messages of a store."""

    def __init__(
        self,
        calls: StoreCalls,
        filter: Filter,
        now: datetime,
        *,
        payload: bool = True,
        within: Any = None,
        look_at: int | None = None,
        from_key: Key | None = None,
        light_page: int = _LIGHT_PAGE,
    ) -> None:
        self._calls = calls
        self._light_page = light_page
        self._filter = filter
        self._now = now
        self._payload = payload
        self._within = within
        self._look_at = look_at
        self.looked_at = 0
        """How many messages the store has shown."""
        self.complete = False
        """Whether there are no more that match."""
        self.last_key: Key | None = from_key
        """Where to go on."""

    async def pages(self) -> AsyncIterator[Sequence[Message]]:
        """What matches, a page at a time, in the order of the filter."""
        filter = self._filter
        if filter.order is not None:
            yield await self._in_order(filter, filter.order)
        elif is_simple(filter):
            async for page in self._shown(filter):  # the store finds just that
                yield page
        else:
            async for page in self._some(filter):
                yield page

    async def _some(self, filter: Filter) -> AsyncIterator[Sequence[Message]]:
        offset, left = filter.offset, filter.limit
        async for found in self._matching(filter):
            page = found[offset:]
            offset = max(0, offset - len(found))
            if left is not None:
                if len(page) >= left:
                    page, self.complete = page[:left], False
                    self.last_key = key_of(page[-1])
                    yield page
                    return
                left -= len(page)
            if page:
                yield page

    async def _in_order(self, filter: Filter, order: str) -> Sequence[Message]:
        found: list[Message] = []
        most = None if filter.limit is None else filter.offset + filter.limit
        more = False
        async for page in self._matching(filter):
            found += page
            if most is not None and len(found) > most:
                found, more = heapq.nsmallest(most, found, key=_sorting_by(order)), True
        self.complete = self.complete and not more
        found.sort(key=_sorting_by(order))
        return found[filter.offset : most]

    async def _matching(self, filter: Filter) -> AsyncIterator[Sequence[Message]]:
        pages = self._shown(_simple_part(filter))
        if filter.ids is not None:
            pages = self._named(tuple(filter.ids))
            filter = attrs.evolve(filter, ids=None)  # to compare each with thousands takes long
        async for page in pages:
            yield [each for each in page if matches(filter, each, self._now)]

    async def _named(self, ids: Sequence[str]) -> AsyncIterator[Sequence[Message]]:
        """The messages of these ids, all of them at once."""
        found: list[Message | None] = []
        at_once = 1 if self._within is not None else _AT_ONCE
        for start in range(0, len(ids), at_once):
            some = ids[start : start + at_once]
            found += await asyncio.gather(*(self._calls.get(each, self._within) for each in some))
        self.looked_at, self.complete = len(ids), True
        page = sorted((each for each in found if each is not None), key=key_of)
        if self.last_key is not None:
            page = [each for each in page if key_of(each) > self.last_key]
        yield page if self._payload else [without_payload(each) for each in page]

    async def _shown(self, filter: Filter) -> AsyncIterator[Sequence[Message]]:
        """Pages of what the store finds, whose own the limit and offset are."""
        left, offset = filter.limit, filter.offset
        most = _FIRST_PAGE if self._payload else self._light_page
        largest = 1  # bytes of a payload so far
        while left is None or left > 0:
            size = most if left is None else min(most, left)
            if self._look_at is not None:
                size = min(size, self._look_at - self.looked_at)
            if size <= 0:
                return
            page = await self._calls.list(
                attrs.evolve(filter, limit=size, offset=offset),
                from_key=self.last_key,
                payload=self._payload,
                within=self._within,
            )
            self.looked_at += len(page)
            self.complete = len(page) < size
            if page:
                self.last_key = key_of(page[-1])
                yield page
            if self.complete:
                return
            left = None if left is None else left - size
            offset = 0
            if self._payload:
                largest = max(largest, *(len(message.payload) for message in page))
                most = min(_PAGE, 2 * most, max(1, _PAGE_BYTES // largest))


def key_of(message: Message) -> Key:
    """Where it stands."""
    return message.scheduled_at, message.id


def _sorting_by(order: str) -> Callable[[Message], Any]:
    name, backwards = order.removeprefix("-"), order.startswith("-")

    def key(message: Message) -> Any:
        moment: datetime | None = getattr(message, name)
        if moment is None:
            return (True, 0, message.id)
        number = to_microseconds(moment)
        return (False, -number if backwards else number, message.id)

    return key
