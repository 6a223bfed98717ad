"""Who gets a slot, that is one publish in flight: queues by event name.

1. A claim may bring as many messages as slots are free and one batch beyond, less those that wait
   here already.
2. A name runs at most a quarter of the slots while others wait; names that run nothing go first.
   Alone it may hold more, but earns those slots one by one, by publishes that end.
3. A name that has found no slot for a moment keeps no more waiting here than its share of half a
   batch, or what it works off in 20 ms. The rest goes back to the store, uncounted: to stand aside
   there (:mod:`~duly._engine.sidings`), or else to return at twice the pace at which it works.

With fewer than four slots there is one lane for all, unless some names are limited.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Generic

from duly._engine.lane import TICK, J, Lane, Returns
from duly._engine.permits import Permits
from duly._engine.sidings import HeldBack
from duly._engine.slots import Slots
from duly._engine.turns import Turns
from duly._values.controls import Rules
from duly._values.limits import NO_LIMITS, Limits

__all__ = ["TICK", "Lane", "Lanes"]

_LANES: Final = 1024  # beyond so many names the idle ones are forgotten


class Lanes(Generic[J]):
    """Waiting jobs, and the slots that are taken. Moments are loop time, in seconds."""

    def __init__(self, slots: int, batch: int, limits: Limits = NO_LIMITS) -> None:
        self.slots = Slots(slots, limits)
        self.waiting = 0
        self.spare = sys.maxsize  # jobs that may wait in slow lanes, for want of bytes
        self._batch = batch  # messages that one claim brings at most
        self._held = self._slow = 0  # jobs that wait in slow lanes, and these
        self._lanes: dict[str, Lane[J]] = {}
        self._forget_at = _LANES
        self.turns: Turns[J] = Turns(limits)
        self._returns: Returns[J] = Returns()
        self.held_back: HeldBack[J] = HeldBack(limits, batch)

    def ready(self) -> int:
        """How many jobs can start just now."""
        return min(self.slots.free, self.turns.ready())

    @property
    def startable(self) -> bool:
        """Whether a job waits that only needs a slot."""
        return bool(self.turns.waiting)

    def room(self, coming: int = 0) -> int:
        """How many messages to claim; ``coming`` are claimed already and not added yet.

        Never more in hand than the free slots and one batch. None while what waits here can start
        at once, unless half a batch would fit.
        """
        free = self.slots.free
        room = min(self._batch, free + self._batch - self.waiting - coming)
        unfilled = free > coming and not self.startable
        return room if room > 0 and (unfilled or 2 * room >= self._batch) else 0

    def limit(self, limits: Limits, now: float) -> None:
        """Take other limits than before; what runs goes on."""
        apart = self.slots.apart
        self.slots.limit(limits)
        for lane in self._lanes.values():
            lane.allowance = min(max(lane.allowance, self.slots.quarter), self.slots.most)
        self.turns.limit(limits, self._lanes.values())
        self.held_back.limit(limits)
        if self.slots.apart != apart:
            self.add(self.empty()[::-1], now, in_any_case=True)

    def control(self, rules: Rules, permits: Permits[Lane[J]], now: float) -> list[J]:
        """Take other rules of people than before; returns the jobs of names that are paused."""
        apart = self.slots.apart
        self.slots.control(limited=bool(permits))
        self.turns.control(permits, self._lanes.values())
        self.held_back.control(rules)
        if apart and self.slots.apart:  # the others wait on: rules may change again and again
            paused = [each for each in self._lanes.values() if rules.paused_by(each.name)]
            return [job for lane in paused for job in self._shorten(lane, 0)]
        jobs = self.empty()[::-1]
        self.add([job for job in jobs if not rules.paused_by(job.name)], now, in_any_case=True)
        return [job for job in jobs if rules.paused_by(job.name)]

    def add(
        self, jobs: Sequence[J], now: float, *, took: float = 0.0, in_any_case: bool = False
    ) -> list[tuple[J, float]]:
        """Queue jobs whose claim ``took`` so long; returns those sent back, each with its pause."""
        self._returns.came(len(jobs), took)
        refused: list[tuple[J, float]] = []
        lanes, apart, fair = self._lanes, self.slots.apart, self.slots.fair
        unclaimed: int | None = None  # free slots for which no job that may start is waiting
        for job in jobs:
            name = job.name if apart else ""
            lane = lanes.get(name) or self._open(name, now)
            if (fair or lane.caps) and (lane.slow or not lane.is_quick):
                if unclaimed is None:
                    unclaimed = self.slots.free - self.turns.ready()
                if unclaimed > 0 and lane.may_start(len(lane.jobs)):
                    unclaimed -= 1
                    self._held += lane.slow
                elif self._keeps(self._slowed(lane), len(lane.jobs)) or in_any_case:
                    self._held += 1
                else:
                    refused.append((job, self._refuse(lane, now)))
                    continue
            if not lane.jobs:
                lane.moved_at = now
            if not lane.active:
                lane.ended_at = now
                self.slots.about += 1
                self._crowd(now)
            lane.jobs.append(job)
            self.waiting += 1
            if lane.listed is None:
                self.turns.put(lane)
        return refused

    def take(self, now: float) -> tuple[Lane[J], J] | None:
        """The next job, its slot taken; None when nothing may start."""
        slots, turns = self.slots, self.turns
        free = slots.ceiling - slots.running
        lane = turns.next(slots.quarter, now, scarce=free == 1) if free > 0 else None
        if lane is None:
            return None
        lane.moved_at = now
        if not lane.running:
            lane.ended_at = lane.begun_at = now
        lane.running += 1
        slots.running += 1
        self.waiting -= 1
        self._held -= lane.slow
        job = lane.jobs.popleft()
        if lane.caps:
            turns.start(lane)
        if lane.low and lane.low > len(lane.jobs):
            self.held_back.ran_low(lane)
        if lane.jobs:
            turns.put(lane)
        return lane, job

    def leave(
        self, lane: Lane[J], now: float, *, earned: bool, took: float = 0.0, begun: bool = True
    ) -> None:
        """Give back a slot that ``took`` so long; one that ended by itself earns another one."""
        slots = self.slots
        lane.running -= 1
        slots.running -= 1
        lane.end(now, took, earned=earned)
        if lane.low and lane.low > len(lane.jobs):
            self.held_back.ran_low(lane)
        if earned and lane.jobs and lane.allowance < slots.most:
            lane.allowance += lane.allowance < slots.most_of_one(now)
        if lane.caps:
            self.turns.end(lane, begun=begun)
        if not lane.jobs:
            slots.about -= not lane.running
        elif lane.listed is None:
            self.turns.put(lane)

    def tick(self, now: float) -> list[tuple[J, float]]:
        """See which names found no slot; returns the jobs to send back, each with its seconds."""
        self._crowd(now)
        lanes = self._lanes.values()
        for lane in lanes:
            lane.tick()
        first = (lane for lane in self.turns.waiting if not lane.running)
        fair, free = self.slots.fair, self.slots.free
        slow = [each for each in dict.fromkeys([*first, *lanes]) if each.is_slow(now, fair, free)]
        self._slow, self._held = len(slow), 0
        refused = []
        for lane in slow:
            lane.slow = True
            if lane.stalled(now):
                self._allow(lane, self.slots.quarter)
            kept, jobs = 0, 0 if lane.stuck(now) else len(lane.jobs)
            while kept < jobs and self._keeps(lane, kept):
                kept += 1
                self._held += 1
            refused += [(job, self._refuse(lane, now)) for job in self._shorten(lane, kept)]
        return refused

    def most(self, now: float) -> Mapping[str, int]:
        """How many the next claim may bring of names that are held back."""
        spare = self._batch // 2 - self._held
        return self.held_back.most(self.slots.free, max(0, spare), self._slow, now)

    def empty(self) -> list[J]:
        """Take all waiting jobs out."""
        self._held = 0
        return [job for lane in self._lanes.values() for job in self._shorten(lane, 0)]

    def _refuse(self, lane: Lane[J], now: float) -> float:
        self.held_back.add(lane)
        return self._returns.send_back(lane, now)

    def _slowed(self, lane: Lane[J]) -> Lane[J]:
        if not lane.slow:
            lane.slow, self._slow = True, self._slow + 1
            self._held += len(lane.jobs)
        return lane

    def _keeps(self, lane: Lane[J], before: int) -> bool:
        """Whether a slow lane keeps one more job here, behind so many others."""
        if self._held >= self.spare or before < lane.works_off:
            return self._held < self.spare
        half = self._batch // 2
        if not (lane.running or before):
            return (lane.is_quick and not lane.capped) or self._held < max(1, half)
        return self._held < half and before < max(1, half // max(1, self._slow))

    def _crowd(self, now: float) -> None:
        """With more than one name, one that held more than three quarters makes room."""
        if self.slots.about > 1 and self.slots.crowd(now):
            for lane in self._lanes.values():
                self._allow(lane, self.slots.spared)

    def _open(self, name: str, now: float) -> Lane[J]:
        if len(self._lanes) >= self._forget_at:
            self._forget()
        lane = self._lanes[name] = Lane(name, self.slots.quarter, now)
        self.turns.enter(lane)
        return lane

    def _allow(self, lane: Lane[J], most: int) -> None:
        lane.allowance = min(lane.allowance, most)
        if lane.running >= lane.allowance:
            self.turns.drop(lane)

    def _shorten(self, lane: Lane[J], keep: int) -> Iterator[J]:
        """Take the youngest jobs out of a lane, except ``keep`` of them."""
        had = bool(lane.jobs)
        while len(lane.jobs) > keep:
            self.waiting -= 1
            yield lane.jobs.pop()
        if had and not lane.jobs:
            self.turns.drop(lane)
            self.slots.about -= not lane.running

    def _forget(self) -> None:
        """Forget the names that do nothing; in place, since others use the same lanes."""
        for name, lane in list(self._lanes.items()):
            if not (lane.active or lane.lingering or name in self.held_back):
                del self._lanes[name]
        self._forget_at = max(_LANES, 2 * len(self._lanes))
