"""What will fire: messages that wait, and the series that go on, fire by fire."""

import bisect
from collections.abc import AsyncIterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly.message import Message, State
from duly.recurrence import MOST_COUNTED, Every, Recurrence

__all__ = ["Upcoming", "first_of"]

_TICK: Final = timedelta(microseconds=1)


@attrs.frozen
class Upcoming:
    """A fire to come: when it is due, and the message as it is now."""

    at: datetime
    message: Message


async def first_of(
    messages: AsyncIterable[Message],
    now: datetime,
    since: datetime,
    until: datetime,
    limit: int,
) -> Sequence[Upcoming]:
    """The first so many fires from ``since`` to ``until``, of messages in order of their fires."""
    found: list[Upcoming] = []
    async for message in messages:
        if len(found) >= limit and found[-1].at < message.scheduled_at:
            break  # all that follow are later still
        for at in _fires(message, now, since):
            if at > until or (len(found) >= limit and found[-1].at <= at):
                break
            if at >= since:
                bisect.insort(found, Upcoming(at, message), key=_place)
                del found[limit:]
    return found


def _place(upcoming: Upcoming) -> tuple[datetime, str]:
    return upcoming.at, upcoming.message.id


def _fires(message: Message, now: datetime, since: datetime) -> Iterator[datetime]:
    """When a message is due, earliest first; some of what is before ``since`` may be left out."""
    if message.state is State.DEAD:
        return
    earliest = now  # a series waits for the fire that it is at, however late that is
    if message.state is State.SCHEDULED:
        earliest = max(message.next_attempt_at, now)
        yield earliest
    if message.recurrence is not None:
        for at in _following(message, message.recurrence, earliest, since):
            earliest = max(earliest, at)
            yield earliest


def _following(
    message: Message, recurrence: Recurrence, earliest: datetime, since: datetime
) -> Iterator[datetime]:
    """When the fires behind the one that a series is at are due by themselves."""
    fire: datetime | None = message.scheduled_at
    taken = message.occurrence_count + 1
    all_of_them = recurrence.missed == "all"
    if fire is not None and not all_of_them:  # what is over by then is left out, and not taken up
        fire = recurrence.latest(fire, earliest - recurrence.jitter)
    if fire is not None and since > earliest:
        fire, passed = _skipped(recurrence, fire, since - recurrence.jitter - _TICK)
        taken += passed
    while fire is not None and not recurrence.ends_after(taken):
        fire = recurrence.following(fire)
        if fire is None:
            return
        due = recurrence.due(message.id, fire)
        if all_of_them or due > earliest:
            taken += 1
            yield due


def _skipped(recurrence: Recurrence, fire: datetime, bound: datetime) -> tuple[datetime, int]:
    """The last fire up to there that may be gone to at once, and how many fires that passes over.

    They are counted only where the series ends after a number of them.
    """
    last = recurrence.latest(fire, bound)
    if recurrence.max_occurrences is None:
        return last, 0
    number = recurrence.count(fire, last)
    is_exact = number < MOST_COUNTED or isinstance(recurrence, Every)
    return (last, number - 1) if is_exact else (fire, 0)
