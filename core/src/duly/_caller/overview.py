"""What a caller may learn of many messages: how many, which first, what will fire."""

import enum
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import attrs

from duly._caller import ability_answers as answers
from duly._caller.arguments import as_filter, as_flag, as_id, as_number
from duly._caller.between import found_between
from duly._caller.lookup import ALL, Lookup, not_found
from duly._caller.upcoming import Upcoming, first_of
from duly._caller.walking import Key
from duly._values.plain import shown
from duly.errors import InvalidArgument, Unsupported
from duly.message import Filter, Message, State
from duly.moment import as_moment
from duly.store import SupportsWhere, Whereabouts

__all__ = ["Count", "CountKind", "Found", "Overview", "Upcoming", "as_key"]

_LOOKED_AT: Final = 10_000  # messages, unless the caller says more
_MOST_LOOKED_AT: Final = 10_000_000
_MOST_UPCOMING: Final = 100_000


@attrs.frozen(kw_only=True)
class Found:
    """What a bounded search has found.

    ``looked_at`` messages were looked at. When ``complete`` there are no more that match; otherwise
    give ``from_key`` to the next search. It is None where there is no going on: when complete, and
    with an order.
    """

    messages: Sequence[Message]
    looked_at: int
    complete: bool
    from_key: Key | None


class CountKind(enum.Enum):
    """How exact a count is."""

    EXACT = "exact"
    AT_LEAST = "at_least"


@attrs.frozen
class Count:
    """How many messages match, as far as they were looked at."""

    number: int
    kind: CountKind


class Overview(Lookup):
    """The verbs of a client that look at many messages."""

    async def search(
        self,
        filter: Filter = ALL,
        *,
        look_at: int = _LOOKED_AT,
        from_key: Key | None = None,
        payload: bool = True,
    ) -> Found:
        """The messages that match, among so many that are looked at.

        As :meth:`list`, but bounded however much there is: see :class:`Filter` for what has to be
        walked through. ``from_key`` goes on where an earlier search of the same filter ended; it
        cannot go with an ``order`` or an ``offset``, which that one has counted already. An
        ``order`` sorts what was looked at, the earliest by ``scheduled_at``: unless ``complete``,
        what comes first of all may not be among it.

        Raises:
            InvalidArgument: an argument out of bounds, or ``from_key`` with an order or an offset.
        """
        filter = as_filter(filter)
        look_at = as_number(look_at, "look_at", at_least=1, at_most=_MOST_LOOKED_AT)
        key = as_key(from_key)
        if key is not None and filter.order is not None:
            raise InvalidArgument("from_key goes on by scheduled_at: leave the order out")
        if key is not None and filter.offset:
            raise InvalidArgument("from_key goes on behind what was passed: leave the offset out")
        payload = as_flag(payload, "payload")
        walk = self._walk(filter, payload=payload, look_at=look_at, from_key=key)
        messages = [message async for page in walk.pages() for message in page]
        over = walk.complete or filter.order is not None
        return Found(
            messages=messages,
            looked_at=walk.looked_at,
            complete=walk.complete,
            from_key=None if over else walk.last_key,
        )

    async def count(self, filter: Filter = ALL) -> Count:
        """How many messages match.

        Exact when the filter asks for a state alone, or for nothing; otherwise as long as not more
        than 10,000 had to be looked at.
        """
        filter = as_filter(filter)
        if attrs.evolve(ALL, state=filter.state) == filter:
            stats = await self.stats()
            numbers = {
                State.SCHEDULED: stats.scheduled,
                State.CLAIMED: stats.claimed,
                State.DEAD: stats.dead,
            }
            number = sum(numbers.values()) if filter.state is None else numbers[filter.state]
            return Count(number, CountKind.EXACT)
        unordered = attrs.evolve(filter, order=None)
        # One more, to see whether there is one.
        found = await self.search(unordered, look_at=_LOOKED_AT + 1, payload=False)
        number = len(found.messages)
        if found.complete or (filter.limit is not None and number >= filter.limit):
            return Count(number, CountKind.EXACT)
        return Count(min(number, _LOOKED_AT), CountKind.AT_LEAST)

    async def where(self, message_id: str) -> Whereabouts:
        """In whose hands a message is, and until when; where it stands otherwise.

        Raises:
            MessageNotFound: the id is unknown.
            Unsupported: the store cannot tell.
        """
        message_id = as_id(message_id)
        store = self._calls.store
        if not isinstance(store, SupportsWhere):
            raise Unsupported(f"{type(store).__name__} cannot tell where a message is")
        found = answers.where(await self._calls(store.where, message_id))
        if found is None:
            raise not_found(message_id)
        return found

    async def upcoming(
        self,
        until: datetime,
        *,
        since: datetime | None = None,
        filter: Filter = ALL,
        limit: int = 1000,
    ) -> Sequence[Upcoming]:
        """What will be due until then, earliest first, each fire of the series one by one.

        By what is stored now, and without the payloads, as if each were delivered at once. What is
        overdue is due now, unless it counts as missed; ``since``, inclusive, leaves out what is
        earlier. Of a claimed series the fires that follow are told, of a claimed message nothing.
        At most ``limit``, which is at most 100,000; equal ones by their ids.

        For a ``since`` that is still to come a store goes by its indexes, where it has such, from
        there on; otherwise it goes through all that is scheduled up to then.

        Raises:
            InvalidArgument: an argument out of bounds, or a filter with an order or a limit.
        """
        until = as_moment(until, "until")
        now = self._now()
        first = now if since is None else max(as_moment(since, "since"), now)
        limit = as_number(limit, "limit", at_least=1, at_most=_MOST_UPCOMING)
        if as_filter(filter).limit is not None or filter.offset or filter.order is not None:
            raise InvalidArgument("upcoming has its own limit and order: leave the filter's out")
        before = until if filter.before is None else min(until, filter.before)
        filter = attrs.evolve(filter, before=before)
        if first > now:
            between = await found_between(self._calls, filter, now, first, until, limit=limit)
            if between is not None:
                return await first_of(*between, now, first, until, limit=limit)
        waiting = self.iterate(filter, payload=False)
        return await first_of(waiting, self._following, now, first, until, limit=limit)

    async def _following(self, message: Message) -> Message | None:
        """What takes the place of a series, where the store can tell."""
        store = self._calls.store
        if not isinstance(store, SupportsWhere):
            return None
        found = answers.where(await self._calls(store.where, message.id))
        return None if found is None else found.follows


def as_key(value: object) -> Key | None:
    """Where an earlier search ended."""
    if value is None:
        return None
    moment, id = value if isinstance(value, tuple | list) and len(value) == 2 else (None, None)
    if not isinstance(moment, datetime):
        raise InvalidArgument(
            f"from_key must be the from_key of an earlier search, not {shown(value)}"
        )
    return as_moment(moment, "from_key"), as_id(id)
