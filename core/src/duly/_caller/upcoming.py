"""What will fire: messages that wait, and the series that go on, fire by fire."""

import bisect
from collections.abc import AsyncIterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly.message import Message, State
from duly.recurrence import Recurrence

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
    if message.state is State.SCHEDULED:
        yield max(message.next_attempt_at, now)
    if message.recurrence is not None:
        yield from _following(message, message.recurrence, now, since)


def _following(
    message: Message, recurrence: Recurrence, now: datetime, since: datetime
) -> Iterator[datetime]:
    fire: datetime | None = message.scheduled_at
    taken = message.occurrence_count + 1
    begin = message.scheduled_at
    if since > now:
        begin = since - recurrence.jitter - _TICK
    if recurrence.missed != "all":  # what is over by now will not be made up for
        begin = max(begin, now)
    if fire is not None and recurrence.max_occurrences is None:
        fire = recurrence.latest(fire, begin)
    while fire is not None and not recurrence.ends_after(taken):
        fire = recurrence.following(fire)
        if fire is not None:
            taken += 1
            yield max(recurrence.due(message.id, fire), now)
