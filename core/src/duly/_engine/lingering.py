"""What goes on though its publish was cancelled: functions in threads, which nobody can stop.

They have no slot any more, but keep their thread and their claim: their messages are not started
again while they run, and delivered when they end well after all.
"""

import asyncio
import functools
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs

from duly._engine.lane import J
from duly._engine.lanes import Lane, Lanes
from duly._engine.worker import finish
from duly._values.publishing import Interrupted, Job, as_error

__all__ = ["NOBODY", "Lingering", "let_go", "linger"]


class _Nobody:
    name = ""

    def keep_until(self) -> float:
        return math.inf

    def start(self, now: float) -> None:
        """It never is."""

    def lingers(self, error: Exception) -> None:
        """It does nothing."""

    def finish(self, receipt: str | None, error: Exception | None) -> None:
        """The answer is not due yet."""


NOBODY: Final[Job] = _Nobody()
"""Gets the answer in place of a job that is to have another one, later."""


@attrs.define(eq=False)
class _One:
    lane: Lane[Job]
    job: Job
    since: float  # loop time
    given_up: bool = False

    def end(self, receipt: str | None, error: Exception | None) -> None:
        if not self.given_up:
            self.given_up = True
            finish(self.job, receipt, error)


def linger(lanes: Lanes[J], lane: Lane[J]) -> None:
    """A job works on without its slot: it still counts for the limits."""
    lane.lingering += 1
    lanes.slots.linger(1)
    for cap in lane.caps:
        cap.hold(1)


def let_go(lanes: Lanes[J], lane: Lane[J]) -> None:
    """A job that lingered has ended."""
    lane.lingering -= 1
    lanes.slots.linger(-1)
    lanes.turns.end(lane)


class Lingering:
    """All of them; ``stir`` is called when one has ended, since there is room for another."""

    def __init__(self, lanes: Lanes[Job], stir: Callable[[], None]) -> None:
        self._lanes = lanes
        self._stir = stir
        self._all: dict[_One, None] = {}
        self._clock = asyncio.get_running_loop().time

    def add(self, lane: Lane[Job], job: Job, outcome: "asyncio.Future[Any]", since: float) -> None:
        """This one goes on; it was started at ``since``, in loop time."""
        one = _One(lane, job, since)
        self._all[one] = None
        linger(self._lanes, lane)
        outcome.add_done_callback(functools.partial(self._ended, one))

    def tick(self, soon: float) -> None:
        """Give up those whose claim is not certain beyond a moment of loop time."""
        for one in [each for each in self._all if soon > each.job.keep_until()]:
            one.end(None, Interrupted("its claim is no longer certain"))

    def give_up(self, reason: str) -> None:
        """Send all back, though they run on."""
        for one in [*self._all]:
            one.end(None, Interrupted(reason))

    def sentences(self) -> list[str]:
        """What to say of those that run, for health(): nothing when there are none."""
        if not self._all:
            return []
        first = min(self._all, key=lambda one: one.since)
        since = datetime.now(UTC) - timedelta(seconds=self._clock() - first.since)
        others = f", and {len(self._all) - 1} more" if len(self._all) > 1 else ""
        sentence = (
            f"a function for {first.job.name!r} has outlived its publish_timeout and cannot be "
            f"stopped: it runs since {since:%Y-%m-%d %H:%M:%S} UTC{others}"
        )
        return [sentence]

    def _ended(self, one: _One, outcome: "asyncio.Future[Any]") -> None:
        del self._all[one]
        let_go(self._lanes, one.lane)
        if outcome.cancelled():
            one.end(None, as_error(asyncio.CancelledError()))
        elif (error := outcome.exception()) is not None:
            one.end(None, as_error(error))
        else:
            one.end(outcome.result(), None)
        self._stir()
