"""How many fires of series there will be in each of some spans: by arithmetic where it can be."""

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly._caller.upcoming import taken_up
from duly.message import Message, State, begun, with_changes
from duly.recurrence import Cron, Every, Recurrence
from duly.store import Recurring

__all__ = ["Expansion"]

_STEPS: Final = 10_000  # fires that are found one by one
_TURN: Final = 100  # of them, or series, between turns of the event loop
_NONE: Final = timedelta(0)


class Expansion:
    """Counts the fires of series that are due up to each of ``bounds``, behind the one before.

    As if each were delivered at once when it is due, and those missed by now become of it what the
    series says. Of a series in somebody's hands the fires that follow are counted.
    """

    def __init__(self, bounds: Sequence[datetime]) -> None:
        self.counts = [0] * len(bounds)
        self.ends: datetime | None = None
        """From here on fires may be missing, as there are too many; None: all were counted."""
        self._bounds = bounds
        self._now, self._until = bounds[0], bounds[-1]
        self._left = _STEPS
        self._turns = 0
        self._rules: dict[tuple[str, str], _Fires] = {}

    async def add(self, series: Recurring) -> None:
        """Count the fires of a series, and of what takes its place."""
        await self._pause()
        message, follows = series.message, series.follows
        if message.recurrence is None or message.state is State.DEAD:
            return  # a record that cannot be read
        if follows is not None:
            cut = attrs.evolve(message.recurrence, until=max(self._now, message.scheduled_at))
            message = with_changes(message, recurrence=cut)
            await self._expand(follows, follows.next_attempt_at, aside=False)
        await self._expand(message, series.due_at, aside=series.aside)

    async def _expand(self, message: Message, due_at: datetime | None, *, aside: bool) -> None:
        recurrence = message.recurrence
        if recurrence is None:
            self._note(due_at, 1)
            return
        fire, at, most = message.scheduled_at, self._now, recurrence.max_occurrences
        left = None if most is None else most - message.occurrence_count - 1
        if due_at is not None:
            first = fire if begun(message) else taken_up(recurrence, message.id, fire, self._now)
            if first is None:
                return
            at = max(due_at if first == fire else recurrence.due(message.id, first), self._now)
            fire = first
            if not aside:  # where it is counted already
                self._note(at, 1)
        if at > self._until:
            return
        following = _Following(message.id, recurrence, fire, at, left)
        await self._missed(following)
        if isinstance(recurrence, Cron) and not recurrence.jitter:
            await self._by_rule(following, recurrence)
        elif isinstance(recurrence, Every) and not recurrence.jitter:
            self._by_arithmetic(following, recurrence)
        else:
            await self._one_by_one(following)

    def _note(self, at: datetime | None, number: int) -> None:
        span = len(self._bounds) if at is None else bisect_left(self._bounds, at)
        if span < len(self.counts):
            self.counts[span] += number

    async def _missed(self, series: "_Following") -> None:
        """Count those that follow and are due by the time at which the one before is delivered."""
        if not series.may_be_due():
            return
        fire = series.recurrence.following(series.fire)
        if fire is not None:
            fire = taken_up(series.recurrence, series.id, fire, series.at)
        if fire is None:
            series.end()
            return
        if series.recurrence.due(series.id, fire) > series.at:
            series.next = fire
            return
        last = series.recurrence.latest_due(series.id, fire, series.at)
        if isinstance(series.recurrence, Every):
            number = series.recurrence.count(fire, last)
        else:
            number = await self._number(series.recurrence, fire, last)
        self._note(series.at, series.take(number))
        series.fire = last

    async def _number(self, recurrence: Recurrence, fire: datetime, last: datetime) -> int:
        number, each = 1, recurrence.following(fire)
        while each is not None and each <= last:
            if not await self._step(self._now):
                break
            number, each = number + 1, recurrence.following(each)
        return number

    def _by_arithmetic(self, series: "_Following", recurrence: Every) -> None:
        fire = series.first()
        while fire is not None and fire <= self._until and series.left != 0:
            span = bisect_left(self._bounds, fire)
            last = recurrence.latest(fire, self._bounds[span])
            self.counts[span] += series.take(recurrence.count(fire, last))
            fire = recurrence.following(last)

    async def _by_rule(self, series: "_Following", recurrence: Cron) -> None:
        """Of many series of one rule the fires are found once."""
        rule = recurrence.expression, recurrence.timezone
        fires = self._rules.get(rule)
        if fires is None:
            fires = self._rules[rule] = await self._fires(recurrence)
        start = bisect_left(fires.moments, series.next) if series.next else (
            bisect_right(fires.moments, series.fire)
        )  # fmt: skip
        until = recurrence.until
        end = len(fires.moments) if until is None else bisect_right(fires.moments, until)
        if series.left is not None:
            end = min(end, start + series.left)
        before = 0
        for span, bound in enumerate(fires.ends):
            self.counts[span] += max(0, min(bound, end) - max(before, start))
            before = bound

    async def _fires(self, recurrence: Cron) -> "_Fires":
        moments: list[datetime] = []
        plain = attrs.evolve(recurrence, until=self._until)
        for fire in plain.all_after(self._now):
            if not await self._step(fire):
                break
            moments.append(fire)
        return _Fires(moments, [bisect_right(moments, each) for each in self._bounds])

    async def _one_by_one(self, series: "_Following") -> None:
        fire = series.first()
        while fire is not None and fire <= self._until and series.left != 0:
            if not await self._step(fire):
                return
            self._note(max(series.recurrence.due(series.id, fire), series.at), series.take(1))
            fire = series.recurrence.following(fire)

    async def _step(self, at: datetime) -> bool:
        """Whether one more may be found; else it is noted from when on some are missing."""
        if not self._left:
            self.ends = at if self.ends is None else min(self.ends, at)
            return False
        self._left -= 1
        await self._pause()
        return True

    async def _pause(self) -> None:
        self._turns += 1
        if not self._turns % _TURN:
            await asyncio.sleep(0)


@attrs.frozen
class _Fires:
    """The fires of a rule from now on, and how many of them there are up to each bound."""

    moments: Sequence[datetime]
    ends: Sequence[int]


@attrs.define
class _Following:
    """What follows a fire that is delivered at ``at``: ``left`` fires, or as many as there are."""

    id: str
    recurrence: Recurrence
    fire: datetime
    at: datetime
    left: int | None
    next: datetime | None = None

    def first(self) -> datetime | None:
        """The first of them."""
        return self.next or (None if self.left == 0 else self.recurrence.following(self.fire))

    def may_be_due(self) -> bool:
        """Whether one of them can be due when the fire itself is delivered."""
        return self.left != 0 and self.at > self.fire + self.recurrence.jitter

    def take(self, number: int) -> int:
        """How many of so many there are."""
        if self.left is None:
            return number
        taken = min(number, self.left)
        self.left -= taken
        return taken

    def end(self) -> None:
        """There are none."""
        self.left = 0
