"""Whose turn it is: lanes that have something to start, in the order in which they may."""

from collections import deque
from collections.abc import Iterable
from typing import Final, Generic

from duly._engine.lane import J, Lane
from duly._engine.limits import Cap, Caps
from duly._engine.permits import Permits
from duly._values.limits import Limits

__all__ = ["Turns"]

_IN_A_ROW: Final = 3  # turns of quick names before one of a slow name


class Turns(Generic[J]):
    """Lanes with a job that only needs a slot, one by one; when slots are scarce, the best first.

    First come lanes that run nothing, then those that run less than a quarter of the slots. Of
    those that run nothing, the quick ones go before the slow ones three times out of four, so that
    a hundred slow names do not make one quick name wait for them all. A lane under a cap that is
    full waits for that cap instead, first come first served.
    """

    def __init__(self, limits: Limits) -> None:
        self._caps: Caps[Lane[J]] = Caps(limits)
        self.permits: Permits[Lane[J]] = Permits()
        self.waiting: deque[Lane[J]] = deque()
        """Those who wait for nothing but a slot."""
        self._passed = 0  # times in a row that a quick one went first

    def ready(self) -> int:
        """How many jobs wait that only need a slot."""
        return sum(min(len(lane.jobs), lane.allowance - lane.running) for lane in self.waiting)

    def limit(self, limits: Limits, lanes: Iterable[Lane[J]]) -> None:
        """Take other limits than before, with what ``lanes`` run already."""
        self._caps = Caps(limits)
        self.control(self.permits, lanes)

    def control(self, permits: Permits[Lane[J]], lanes: Iterable[Lane[J]]) -> None:
        """Take other permits than before, with what ``lanes`` run already."""
        self.permits = permits
        for lane in lanes:
            self.drop(lane)
            for cap in lane.caps:
                cap.used = 0
        for lane in lanes:
            self.enter(lane)
            for cap in lane.caps:
                cap.hold(lane.running + lane.lingering)
        for lane in lanes:
            self.put(lane)

    def enter(self, lane: Lane[J]) -> None:
        """A lane is new here."""
        # What runs in the one lane of all names may be of any: it counts for each until it ends.
        permits = self.permits.of(lane.name) if lane.name else self.permits.in_flight.values()
        lane.caps = (*self._caps.of(lane.name), *permits)

    def put(self, lane: Lane[J]) -> None:
        """Let a lane wait for its turn, unless it does, if it has a job that it may start."""
        if lane.listed is None and lane.jobs and lane.running < lane.allowance:
            full = [cap for cap in lane.caps if cap.full] if lane.caps else ()
            lane.listed = full[0].blocked if full else self.waiting
            lane.listed.append(lane)

    def drop(self, lane: Lane[J]) -> None:
        """Let it wait no longer."""
        if lane.listed is not None:
            lane.listed.remove(lane)
            lane.listed = None

    def next(self, quarter: int, now: float, *, scarce: bool) -> Lane[J] | None:
        """Whose turn it is; ``scarce`` when this is the last slot that is free; None: nobody's."""
        waiting = self.waiting
        while waiting:
            if len(waiting) > 1 and (scarce or waiting[0].running >= quarter):
                lane = self._best(quarter)
                waiting.remove(lane)
            else:
                lane = waiting.popleft()
            lane.listed = None
            shut = [cap for cap in lane.caps if not cap.is_open(now)] if lane.caps else ()
            if not shut:
                return lane
            lane.listed = shut[0].blocked  # a permit of its has run out
            lane.listed.append(lane)
        return None

    def start(self, lane: Lane[J]) -> None:
        """A lane has started a job, which counts for its caps."""
        for cap in lane.caps:
            cap.take()
            if cap.full:
                self._again([each for each in self.waiting if cap in each.caps])

    def end(self, lane: Lane[J], *, begun: bool = True) -> None:
        """A job that a lane started counts no longer; ``begun``: it was published."""
        for cap in lane.caps:
            cap.give_back(begun=begun)
            self.open(cap)

    def open(self, cap: Cap[Lane[J]]) -> None:
        """Let those who wait for a cap have their turn, if it is not full."""
        if not cap.full:
            self._again(tuple(cap.blocked))

    def _best(self, quarter: int) -> Lane[J]:
        quick = idle = fair = None
        for lane in self.waiting:
            if not lane.running:
                if not lane.is_quick:
                    idle = idle or lane
                elif self._passed < _IN_A_ROW:
                    self._passed += 1
                    return lane
                else:
                    quick = quick or lane
            elif lane.running < quarter:
                fair = fair or lane
        if idle is not None:
            self._passed = 0
        return idle or quick or fair or self.waiting[0]

    def _again(self, lanes: Iterable[Lane[J]]) -> None:
        for lane in lanes:
            self.drop(lane)
            self.put(lane)
