"""What may fire between two moments to come, by the stores' indexes of what is due when."""

import heapq
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import attrs

from duly._caller import ability_answers as answers
from duly._caller.calls import StoreCalls
from duly._caller.walking import key_of, state_of
from duly._values.matching import matches
from duly._values.patterns import is_prefix
from duly.message import Filter, Message, State, without_payload
from duly.store import DueCounts, Recurring, SupportsDueBetween, SupportsForecast

__all__ = ["Between", "all_series", "found_between"]

Between = tuple[AsyncIterator[Message], Callable[[Message], Awaitable[Message | None]]]
"""The messages, by ``scheduled_at``, and what tells of each what follows it."""

_PAGE: Final = 500  # messages
_MOST_AT_ONCE: Final = 10_000  # messages that are due at one moment
_SERIES: Final = 10_000
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)  # when nothing is due


async def found_between(
    calls: StoreCalls,
    filter: Filter,
    now: datetime,
    since: datetime,
    until: datetime,
    *,
    limit: int,
) -> Between | None:
    """What may be among the first so many fires from ``since``, which is to come, to ``until``.

    None where the store has no indexes for it, or others that are better: by id, by name or of
    what is in hand. What stands aside is due already; series are found wherever they are.
    """
    store = calls.store
    if (
        not isinstance(store, SupportsDueBetween)
        or not isinstance(store, SupportsForecast)
        or filter.ids is not None
        or (filter.event_name is not None and not is_prefix(filter.event_name))
        or state_of(filter) not in (None, State.SCHEDULED)
    ):
        return None
    wanted = _Wanted(filter, now, since, until)
    once = await _once(calls, store, wanted, limit)
    if once is None:
        return None
    counts = await all_series(calls, store, _SERIES)
    if not counts.complete:
        return None
    series = [each for each in counts.series if matches(filter, each.message, now)]
    return _as_asked(once, series)


async def all_series(calls: StoreCalls, store: SupportsForecast, look_at: int) -> DueCounts:
    """What recurs, by its index, at most so many; nothing else is counted."""
    counts = await calls(store.due_counts, [_EARLIEST], most=1, look_at=look_at)
    return answers.due_counts(counts, 1)


@attrs.frozen
class _Wanted:
    """What is asked for."""

    filter: Filter
    now: datetime
    since: datetime
    until: datetime

    def has(self, message: Message) -> bool:
        """Whether it is a message that waits for its only delivery then."""
        return (
            message.recurrence is None
            and message.state is State.SCHEDULED
            and self.since <= message.next_attempt_at <= self.until
            and matches(self.filter, message, self.now)
        )


async def _once(
    calls: StoreCalls, store: SupportsDueBetween, wanted: _Wanted, limit: int
) -> Sequence[Message] | None:
    """The first that do not recur; None where too many are due at one moment."""
    found: dict[str, Message] = {}  # what is due where a page ends comes with the next one, too
    start, size = wanted.since, _PAGE
    while True:
        page = await calls(store.due_between, start, wanted.until, limit=size)
        page = answers.due_between(page, start, wanted.until, size)
        found |= {each.message.id: each.message for each in page if wanted.has(each.message)}
        if len(found) > limit:
            first = heapq.nsmallest(limit, found.values(), key=_place)
            found = {each.id: each for each in first}
        if len(page) < size:
            return [*found.values()]
        last = page[-1].due_at
        if len(found) == limit and max(map(_place, found.values()))[0] < last:
            return [*found.values()]
        start, size = (start, 2 * size) if last == start else (last, _PAGE)
        if size > _MOST_AT_ONCE:
            return None


def _place(message: Message) -> tuple[datetime, str]:
    return message.next_attempt_at, message.id


def _as_asked(once: Sequence[Message], series: Sequence[Recurring]) -> Between:
    following = {each.message.id: each.follows for each in series}
    found = sorted((*once, *(each.message for each in series)), key=key_of)

    async def messages() -> AsyncIterator[Message]:
        for each in found:
            yield without_payload(each)

    async def follows(message: Message) -> Message | None:
        return following.get(message.id)

    return messages(), follows
