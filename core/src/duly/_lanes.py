"""Who gets a slot: queues by event name, served in turn.

A slot is one publish in flight. While others wait, an event name holds at most a quarter of the
slots. While nobody else waits it may hold more, but earns that one by one, by publishes that end:
a name that hangs from the start never gets beyond its quarter. Jobs of a name that is stalled are
not kept but refused, to be sent back to the store for a moment, so that claims reach what lies
behind them. With fewer than four slots there is one lane for all, in the order of arrival.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, Generic, Protocol, TypeVar

__all__ = ["Lane", "Lanes", "Named"]

_LEAST_PATIENCE: Final = 0.1  # seconds without a publish of the name that ended
_MOST_PATIENCE: Final = 2.0
_PATIENCE: Final = 4  # times what its publishes took of late, where that is more
_FIRST_PAUSE: Final = 0.1  # seconds
_FORGET: Final = 0.98  # what is left of a slow publish's weight after another one
_LONGEST_PAUSE: Final = 10.0
_LANES: Final = 1024  # beyond so many names the idle ones are forgotten
_FAIR_FROM: Final = 4  # slots


class Named(Protocol):
    """What is queued: it has an event name."""

    name: str


J = TypeVar("J", bound=Named)


class Lane(Generic[J]):
    """The jobs of one event name."""

    __slots__ = (
        "allowance", "ended_at", "jobs", "listed", "pace", "pause", "paused_until", "running",
    )  # fmt: skip

    def __init__(self, allowance: int, now: float) -> None:
        self.jobs: deque[J] = deque()
        self.running = 0
        self.allowance = allowance
        self.listed = False  # among the turns
        self.ended_at = now  # when a publish last ended, or the first one started
        self.pace = 0.0  # seconds that the slowest publish took of late
        self.pause = _FIRST_PAUSE
        self.paused_until = 0.0

    def stalled(self, now: float) -> bool:
        """Whether all it may hold is taken and nothing ends."""
        patience = min(max(_LEAST_PATIENCE, _PATIENCE * self.pace), _MOST_PATIENCE)
        return self.running >= self.allowance and now - self.ended_at >= patience

    def refuse(self, now: float) -> float:
        """For how long to send a job back; longer each time that those sent back return."""
        if now >= self.paused_until:
            if self.paused_until:
                self.pause = min(2 * self.pause, _LONGEST_PAUSE)
            self.paused_until = now + self.pause
        return self.pause


class Lanes(Generic[J]):
    """Waiting jobs, and the slots that are taken. Moments are loop time, in seconds.

    ``keep`` is how many jobs may wait in a stalled lane.
    """

    def __init__(self, slots: int, keep: int) -> None:
        self.slots = slots
        self.running = 0
        self.waiting = 0
        self._fair = slots >= _FAIR_FROM
        self._quarter = slots // 4 if self._fair else slots
        self._keep = max(1, min(self._quarter, keep))
        self._lanes: dict[str, Lane[J]] = {}
        self._sweep_at = _LANES
        self._turns: deque[Lane[J]] = deque()

    @property
    def startable(self) -> bool:
        """Whether a job waits that only needs a slot."""
        return bool(self._turns)

    def add(self, jobs: Sequence[J], now: float) -> list[tuple[J, float]]:
        """Queue jobs; those refused, each with the seconds to send it back for."""
        refused = []
        lanes, keep, fair = self._lanes, self._keep, self._fair
        for job in jobs:
            name = job.name if fair else ""
            lane = lanes.get(name)
            if lane is None:
                lane = self._open(name, now)
            if fair and len(lane.jobs) >= keep and lane.stalled(now):
                refused.append((job, lane.refuse(now)))
                continue
            lane.jobs.append(job)
            if not lane.listed and lane.running < lane.allowance:
                lane.listed = True
                self._turns.append(lane)
        self.waiting += len(jobs) - len(refused)
        return refused

    def take(self, now: float) -> tuple[Lane[J], J] | None:
        """The next job, its slot taken; None when nothing may start."""
        turns = self._turns
        if not turns or self.running >= self.slots:
            return None
        others = len(turns) - 1
        while others and turns[0].running >= self._quarter:
            turns.rotate(-1)
            others -= 1
        lane = turns[0]
        if not lane.running:
            lane.ended_at = now
        lane.running += 1
        self.running += 1
        self.waiting -= 1
        job = lane.jobs.popleft()
        if not lane.jobs or lane.running >= lane.allowance:
            turns.popleft()
            lane.listed = False
        elif len(turns) > 1:
            turns.rotate(-1)
        return lane, job

    def leave(self, lane: Lane[J], now: float, *, earned: bool, took: float = 0.0) -> None:
        """Give a slot back; a publish that ended by itself earns its lane another one.

        ``took`` is how many seconds it was in use.
        """
        if earned:
            lane.pace = max(took, _FORGET * lane.pace)
            if lane.jobs and lane.allowance < self._most():
                lane.allowance += 1
            lane.ended_at = now
            lane.pause, lane.paused_until = _FIRST_PAUSE, 0.0
        lane.running -= 1
        self.running -= 1
        if lane.jobs and not lane.listed and lane.running < lane.allowance:
            lane.listed = True
            self._turns.append(lane)

    def refuse_stalled(self, now: float) -> list[tuple[J, float]]:
        """Take the jobs of stalled lanes out of the queue, but for a few to go on with."""
        refused = []
        for lane in self._lanes.values():
            if self._fair and len(lane.jobs) > self._keep and lane.stalled(now):
                lane.allowance = self._quarter
                pause = lane.refuse(now)
                refused += [(job, pause) for job in self._empty(lane, self._keep)]
        return refused

    def empty(self) -> list[J]:
        """Take all waiting jobs out of the queue."""
        return [job for lane in self._lanes.values() for job in self._empty(lane, 0)]

    def _most(self) -> int:
        alone = len(self._lanes) == 1
        return self.slots if alone else self.slots - self._quarter

    def _open(self, name: str, now: float) -> Lane[J]:
        if len(self._lanes) >= self._sweep_at:
            self._lanes = {
                key: lane for key, lane in self._lanes.items() if lane.running or lane.jobs
            }
            self._sweep_at = max(_LANES, 2 * len(self._lanes))
        if len(self._lanes) == 1:  # it is not alone any more
            for other in self._lanes.values():
                other.allowance = min(other.allowance, self.slots - self._quarter)
        lane = self._lanes[name] = Lane(self._quarter, now)
        return lane

    def _empty(self, lane: Lane[J], keep: int) -> Iterator[J]:
        while len(lane.jobs) > keep:
            self.waiting -= 1
            yield lane.jobs.pop()
        if not lane.jobs and lane.listed:
            lane.listed = False
            self._turns.remove(lane)
