"""What will fire: messages that wait, and the series that go on, fire by fire."""

import asyncio
import heapq
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly.message import Message, State, begun, with_changes
from duly.recurrence import MOST_COUNTED, Every, Recurrence

__all__ = ["Upcoming", "first_of", "taken_up"]

_TICK: Final = timedelta(microseconds=1)
_PUNCTUAL: Final = timedelta(seconds=1)  # a grace below that counts as that
_STEPS: Final = 100  # fires, of a few hundredths of a millisecond each, between turns of the loop


@attrs.frozen
class Upcoming:
    """A fire to come: when it is due, and the message as it is now."""

    at: datetime
    message: Message


async def first_of(
    messages: AsyncIterable[Message],
    follows: Callable[[Message], Awaitable[Message | None]],
    now: datetime,
    since: datetime,
    until: datetime,
    *,
    limit: int,
) -> Sequence[Upcoming]:
    """The first so many fires from ``since`` to ``until``, of messages in order of their fires.

    ``follows`` is asked what takes the place of a message of which something is due or in hand.
    """
    line = _Line(since, until, limit)
    async for message in messages:
        await line.move_on(message.scheduled_at)  # this one and all that follow are no earlier
        if len(line.found) == limit:
            break
        successor = await follows(message) if _may_be_followed(message, now) else None
        if successor is not None:
            await line.join(successor, _fires(successor, now, since))
            message = _up_to(message, max(now, message.scheduled_at))  # noqa: PLW2901  # what is left of it
        await line.join(message, _fires(message, now, since))
    await line.move_on()
    return line.found


def _may_be_followed(message: Message, now: datetime) -> bool:
    return message.recurrence is not None and (
        message.state is State.CLAIMED or message.scheduled_at <= now
    )


def _up_to(message: Message, cut: datetime) -> Message:
    """A series that another follows from then on."""
    assert message.recurrence is not None  # noqa: S101  # for the type checker
    return with_changes(message, recurrence=attrs.evolve(message.recurrence, until=cut))


class _Line:
    """Messages in order of their next fires; the event loop has its turn now and then."""

    def __init__(self, since: datetime, until: datetime, limit: int) -> None:
        self.found: list[Upcoming] = []
        self._since, self._until, self._limit = since, until, limit
        self._heap: list[tuple[datetime, str, int, Message, Iterator[datetime]]] = []
        self._joined = 0
        self._latest = (since, "")  # of the first fires of those that have joined, and their ids
        self._steps = 0

    async def join(self, message: Message, fires: Iterator[datetime]) -> None:
        """Let a message stand in line, unless there are enough before it."""
        at = await self._next(fires)
        if at is None:
            return
        place = at, message.id
        if self._joined >= self._limit and place > self._latest:
            return
        # By its number, too: what is moved meanwhile may come twice.
        heapq.heappush(self._heap, (at, message.id, self._joined, message, fires))
        self._joined, self._latest = self._joined + 1, max(self._latest, place)

    async def move_on(self, moment: datetime | None = None) -> None:
        """Find what fires before that moment, or all there is, up to the limit."""
        heap = self._heap
        while heap and len(self.found) < self._limit and (moment is None or heap[0][0] < moment):
            at, id, number, message, fires = heap[0]
            self.found.append(Upcoming(at, message))
            following = await self._next(fires)
            if following is None:
                heapq.heappop(heap)
            else:
                heapq.heapreplace(heap, (following, id, number, message, fires))

    async def _next(self, fires: Iterator[datetime]) -> datetime | None:
        for at in fires:
            self._steps += 1
            if not self._steps % _STEPS:
                await asyncio.sleep(0)
            if at >= self._since:
                return at if at <= self._until else None
        return None


def _fires(message: Message, now: datetime, since: datetime) -> Iterator[datetime]:
    """When a message is due, earliest first; some of what is before ``since`` may be left out."""
    if message.state is State.DEAD:
        return
    if message.recurrence is not None:
        yield from _of_series(message, message.recurrence, now, since)
    elif message.state is State.SCHEDULED:
        yield max(message.next_attempt_at, now)


def _of_series(
    message: Message, recurrence: Recurrence, now: datetime, since: datetime
) -> Iterator[datetime]:
    """One fire after the other, each taken up at once when it is due: as a scheduler does it."""
    fire: datetime | None = message.scheduled_at
    at, taken, far = now, message.occurrence_count + 1, since > now
    if message.state is State.SCHEDULED:
        if not begun(message):
            fire = taken_up(recurrence, message.id, message.scheduled_at, now)
        if fire == message.scheduled_at:
            at = max(message.next_attempt_at, now)
        elif fire is not None:
            at = max(recurrence.due(message.id, fire), now)
        if fire is not None:
            yield at
    while fire is not None and not recurrence.ends_after(taken):
        fire = recurrence.following(fire)
        if fire is not None:
            fire = taken_up(recurrence, message.id, fire, at)
        if fire is not None:
            if far:
                fire, passed = _skipped(recurrence, fire, since - recurrence.jitter - _TICK)
                taken, far = taken + passed, False
            at, taken = max(recurrence.due(message.id, fire), at), taken + 1
            yield at


def taken_up(recurrence: Recurrence, id: str, fire: datetime, at: datetime) -> datetime | None:
    """The fire that is taken up at that moment, where ``fire`` is next: others may be missed."""
    grace = max(recurrence.grace, _PUNCTUAL)
    if recurrence.missed == "all" or at - recurrence.due(id, fire) <= grace:
        return fire
    last = recurrence.latest_due(id, fire, at - grace - _TICK)
    return recurrence.following(last) if recurrence.missed == "skip" else last


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
