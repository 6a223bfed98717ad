"""The jobs of one event name: how many may run, how quickly they go, and when to come again."""

import math
from collections import deque
from typing import Any, Final, Generic, Protocol, TypeVar

from duly._engine.limits import Cap

__all__ = ["TICK", "Lane", "Named", "Returns"]

TICK: Final = 0.05
"""Seconds from one :meth:`Lane.tick` to the next."""

_LEAST_PATIENCE: Final = 0.1  # seconds without a publish of the name that ended
_MOST_PATIENCE: Final = 2.0
_PATIENCE: Final = 4  # times what its publishes took of late, where that is more
_STUCK: Final = 5.0  # seconds without a start
_FORGET: Final = 0.98  # what is left of a slow publish's weight after another one
_TOO_EARLY: Final = 0.025  # seconds after the first start: nobody can say yet what is slow
_OF_A_TICK: Final = 0.4  # a name keeps what it works off in so much of a tick
_QUICK: Final = 0.05  # seconds
_SOONEST: Final = 0.05  # seconds until what was sent back returns, at least
_LATEST: Final = 30.0  # at most, if they can all be looked at: the name may be well by then
_SHARE: Final = 2  # what was sent back returns at the pace of claims divided by this, at most
_UNKNOWN: Final = 0.05  # seconds that a publish is taken to last as long as none has ended
_MOST: Final = 10**6  # more than anybody runs
_RETURN: Final = 2  # times the pace at which the name works


class Named(Protocol):
    """What is queued: it has an event name."""

    name: str


J = TypeVar("J", bound=Named)


class Lane(Generic[J]):
    """The jobs of one event name. Moments are loop time, in seconds."""

    __slots__ = (
        "allowance", "begun_at", "caps", "ended", "ended_at", "jobs", "lingering", "listed", "low",
        "moved_at", "name", "pace", "returns_at", "running", "slow", "worked",
    )  # fmt: skip

    def __init__(self, name: str, allowance: int, now: float) -> None:
        self.name = name
        self.jobs: deque[J] = deque()
        self.running = 0
        self.lingering = 0  # without a slot, but still at work
        self.allowance = allowance  # how many may run
        self.caps: tuple[Cap[Any], ...] = ()
        self.listed: deque[Lane[J]] | None = None  # where it waits for its turn
        self.begun_at = now  # when it last had nothing in flight and started something
        self.moved_at = now  # when it last started something, or the first job came to wait
        self.ended_at = now  # when a publish last ended, or the first one started
        self.ended = 0  # publishes since the last tick
        self.low = 0  # of fewer jobs here more are to be claimed, as others of it stand aside
        self.worked = 0  # publishes that ended from the last tick but one to the last
        self.pace = 0.0  # seconds that the slowest publish took of late
        self.slow = False  # whether its jobs found no slot at the last tick
        self.returns_at = now  # when the last of those sent back comes again

    @property
    def is_quick(self) -> bool:
        """Whether its publishes take a moment, as far as anybody knows."""
        return self.pace < _QUICK

    @property
    def works_off(self) -> int:
        """How many jobs it finishes in a moment, judged by those that ended of late."""
        return int(_OF_A_TICK * max(self.worked, self.ended))

    @property
    def active(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self.running or self.jobs)

    def tick(self) -> None:
        """Begin to count anew."""
        self.worked, self.ended = self.ended, 0
        self.slow = False

    def end(self, now: float, took: float, *, earned: bool) -> None:
        """A publish has ended after so many seconds, by itself or cut short."""
        self.pace = max(took, _FORGET * self.pace)
        if earned:
            self.ended_at = now
            self.ended += 1

    def stalled(self, now: float) -> bool:
        """Whether all it may hold is taken and nothing ends."""
        patience = min(max(_LEAST_PATIENCE, _PATIENCE * self.pace), _MOST_PATIENCE)
        return self.running >= self.allowance and now - self.ended_at >= patience

    def stuck(self, now: float) -> bool:
        """Whether its jobs have waited so long in vain that other schedulers should have them."""
        return now - self.moved_at >= _STUCK

    @property
    def capped(self) -> bool:
        """Whether it waits for something other than a slot."""
        return any(cap.full for cap in self.caps)

    def may_start(self, before: int = 0) -> bool:
        """Whether a job with ``before`` others of its name ahead needs nothing but a slot."""
        return self.running + before < self.allowance and all(
            before < cap.left for cap in self.caps
        )

    @property
    def startable(self) -> int:
        """How many jobs of its name could start, those here included, if there were slots."""
        caps = (cap.promised for cap in self.caps)
        return max(0, min(self.allowance - self.running, *caps, _MOST))

    def is_slow(self, now: float, fair: bool, free: int) -> bool:
        """Whether it finds no slot of so many free ones; ``fair``: slots are kept for others."""
        if not (fair or self.caps) or len(self.jobs) < self.works_off or self.unknown(now):
            return False
        return self.active and not (free and self.may_start())

    def unknown(self, now: float) -> bool:
        """Whether it has only just begun, so that nobody can say yet how quick it is."""
        return self.running > 0 and not self.worked and now - self.begun_at < _TOO_EARLY

    def send_back(self, now: float, latest: float) -> float:
        """When a job that is sent back comes again: in half the time until its turn would come.

        If ``n`` jobs run, each for ``s`` seconds, one ends every ``s / n`` seconds (Little's law);
        those sent back return at twice that pace, one by one.
        """
        waits = self.running or not self.may_start()
        took = max(self.pace, now - self.ended_at if waits else 0.0) or _UNKNOWN
        apart = took / max(1, self.running) / _RETURN
        if ended := max(self.worked, self.ended):  # a pause of the process says nothing of the name
            apart = min(apart, TICK / ended / _RETURN)
        self.returns_at = min(max(self.returns_at, now + _SOONEST) + apart, latest)
        return self.returns_at


class Returns(Generic[J]):
    """When jobs that were sent back come again, of all names: within half a minute, if possible.

    If more are away than claims can look at in that time, claims would find nothing else. So those
    that are late return at half the pace at which claims recently brought messages.
    """

    def __init__(self) -> None:
        self._late_at = -math.inf  # when the last of those that are late comes again
        self._apart = 0.0  # seconds

    def came(self, count: int, took: float) -> None:
        """A claim that took so many seconds has brought so many messages."""
        if count:
            self._apart = _SHARE * took / count

    def send_back(self, lane: Lane[J], now: float) -> float:
        """For how many seconds to send back one of a lane."""
        latest = max(self._late_at + self._apart, now + _LATEST)
        if lane.send_back(now, latest) >= latest:
            self._late_at = latest
        return lane.returns_at - now
