"""What the gauges show of a store: counts, ages, and how much is in each phase."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple

from duly._caller.calls import StoreCalls
from duly._caller.walking import Walk
from duly._engine.store_time import StoreTime
from duly._telemetry.gauges import Reading
from duly._values.states import Phase, State
from duly.errors import StoreError
from duly.message import Filter, first_due
from duly.store import Stats, SupportsForecast

__all__ = ["Glance"]

_LOOKED_AT: Final = 2000  # messages whose moment has passed
_DUE: Final = 10_000  # that are counted
_PAUSE: Final = 50  # times as long as a look has taken: a store may pass over many dead letters


class Overdue(NamedTuple):
    """What is kept of a message whose moment has passed: a message may be large."""

    due_since: datetime  # by its schedule
    next_attempt_at: datetime
    retried: bool
    claimed: bool


class Glance:
    """Reads the figures that gauges show, at a cost that is bounded however much is stored.

    Called with nothing, it gives a reading.
    """

    def __init__(self, calls: StoreCalls, time: StoreTime) -> None:
        self._calls = calls
        self._time = time
        self._clock = asyncio.get_running_loop().time
        self._overdue: Sequence[Overdue] = ()
        self._look_at = -math.inf  # loop time

    async def __call__(self) -> Reading:
        stats = await self._calls.stats()
        now = self._time.now()
        await self._look(stats, now)
        oldest = min((each.due_since for each in self._overdue), default=now)
        due = now if stats.oldest_due is None else stats.oldest_due
        return Reading(
            pending=stats.scheduled + stats.claimed,
            dead=stats.dead,
            aside=stats.aside,
            oldest_due_age=max(0.0, (now - due).total_seconds()),
            oldest_undelivered_age=max(0.0, (now - min(due, oldest)).total_seconds()),
            clock_offset=self._time.offset.total_seconds(),
            stored=await self._phases(stats, now),
        )

    async def _look(self, stats: Stats, now: datetime) -> None:
        """Find what should have been delivered by now, by its schedule, the oldest first."""
        begun = self._clock()
        if begun < self._look_at:
            return
        with suppress(StoreError):  # it takes too long, say; counts are told all the same
            self._overdue = [
                *(await self._found(State.CLAIMED, now, 1) if stats.claimed else ()),
                *(await self._found(State.SCHEDULED, now, _LOOKED_AT) if stats.scheduled else ()),
            ]
        self._look_at = self._clock() + _PAUSE * (self._clock() - begun)

    async def _found(self, state: State, now: datetime, most: int) -> Sequence[Overdue]:
        filter = Filter(state=state, before=now, limit=most)
        found: list[Overdue] = []
        async for page in Walk(self._calls, filter, now, payload=False).pages():
            for each in page:
                since = first_due(each)
                if since <= now:
                    retried, claimed = each.retry_count > 0, state is State.CLAIMED
                    found.append(Overdue(since, each.next_attempt_at, retried, claimed))
            await asyncio.sleep(0)  # others have their turn
        return found

    async def _phases(self, stats: Stats, now: datetime) -> Mapping[str, int]:
        """How many messages are in each phase; at least so many are due, and retried."""
        waiting = [each for each in self._overdue if not each.claimed]
        late = sum(each.next_attempt_at <= now for each in waiting)
        retrying = sum(each.retried and each.next_attempt_at > now for each in waiting)
        due = max(0, late - stats.aside)
        store = self._calls.store
        if len(waiting) >= _LOOKED_AT and isinstance(store, SupportsForecast):
            counts = await self._calls(store.due_counts, [now], most=_DUE, look_at=1)
            due = max(due, min(counts.in_line[0], _DUE))
        return {
            Phase.SCHEDULED.value: max(0, stats.scheduled - due - retrying - stats.aside),
            Phase.DUE.value: due,
            Phase.RETRYING.value: retrying,
            Phase.ASIDE.value: stats.aside,
            Phase.CLAIMED.value: stats.claimed,
            Phase.DEAD.value: stats.dead,
        }
