"""Every small world: some slots, a batch, up to four names that hang, are slow or quick.

A world has a store of due messages, the real lanes, and time in steps of 10 ms; what is sent back
comes again when it said. Each is lived through, and in each must hold what :mod:`duly._engine.lanes`
promises.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import attrs
import pytest

from duly._engine.lanes import TICK, Lane, Lanes

STEP: Final = 0.01  # seconds
TAKES: Final = {"h": 1e9, "s": 0.3, "q": STEP}  # seconds, by how a name begins
PATIENCE: Final = 0.11  # seconds in which a free slot is used: two ticks at most
END: Final = 12.0


@attrs.define
class Job:
    name: str
    number: int
    due: float = 0.0


@attrs.frozen
class World:
    slots: int
    batch: int
    names: Sequence[str]
    counts: Sequence[int]
    by_turns: bool

    def jobs(self) -> list[Job]:
        """What is due, the oldest first: name by name, or by turns."""
        numbered = [
            Job(name, number)
            for name, count in zip(self.names, self.counts, strict=True)
            for number in range(count)
        ]
        return sorted(numbered, key=lambda job: job.number) if self.by_turns else numbered


def worlds(slots: Sequence[int], batches: Sequence[int], most: Sequence[int]) -> Iterator[World]:
    """All of so many slots and batches, with so many messages of each name."""
    for number in range(1, 5):
        for kinds in itertools.combinations_with_replacement("hsq", number):
            names = [f"{kind}{place}" for place, kind in enumerate(kinds)]
            for counts in itertools.product(most, repeat=number):
                for slot, batch in itertools.product(slots, batches):
                    for by_turns in (False, True) if number > 1 else (False,):
                        yield World(slot, batch, names, counts, by_turns)
                        if number == 2:  # the other one first
                            yield World(slot, batch, names[::-1], counts[::-1], by_turns)


class Life:
    """One world, step by step."""

    def __init__(self, world: World, kind: type[Lanes[Job]] = Lanes) -> None:
        self.world = world
        self.lanes = kind(world.slots, world.batch)
        self.store = world.jobs()
        self.running: list[tuple[Lane[Job], Job, float]] = []
        self.delivered: list[Job] = []
        self.now = 0.0
        self.unused_since: float | None = None

    def live(self) -> None:
        tick_at, finite = TICK, sum(job.name[0] != "h" for job in self.store)
        hangs = Counter(job.name for job in self.store if job.name[0] == "h").values()
        quarter = self.world.slots // 4 or self.world.slots
        held = sum(min(quarter, number) for number in hangs)
        while len(self.delivered) < finite:
            self.claim()
            if self.now >= tick_at:
                tick_at += TICK
                self.put_back(self.lanes.tick(self.now))
                self.claim()
            self.check()
            if held >= self.world.slots:
                if self.now > 1:
                    return  # all slots hang: nobody can do anything about it
            else:
                assert self.now < END, "it does not end"
            self.now = round(self.now + STEP, 6)
            self.end()

    def claim(self) -> None:
        while room := self.lanes.room():
            due = [job for job in self.store if job.due <= self.now][:room]
            if not due:
                break
            for job in due:
                self.store.remove(job)
            self.put_back(self.lanes.add(due, self.now))
            assert self.lanes.waiting <= self.lanes.slots.free + self.world.batch
            self.start()

    def start(self) -> None:
        while (taken := self.lanes.take(self.now)) is not None:
            lane, job = taken
            self.running.append((lane, job, self.now + TAKES[job.name[0]]))

    def end(self) -> None:
        for each in [each for each in self.running if each[2] <= self.now]:
            self.running.remove(each)
            lane, job, _ = each
            self.delivered.append(job)
            self.lanes.leave(lane, self.now, earned=True, took=TAKES[job.name[0]])
        self.start()

    def put_back(self, jobs: Sequence[tuple[Job, float]]) -> None:
        assert not jobs or self.world.slots >= 4, "with fewer slots the order is that of arrival"
        for job, pause in jobs:
            assert 0 < pause <= 30
            job.due = self.now + pause
            self.store.append(job)
        self.store.sort(key=lambda job: job.due)

    def check(self) -> None:
        """No slot is free for long while something is due whose name may have it."""
        runs = Counter(job.name for _, job, _ in self.running)
        quarter = self.world.slots // 4 or self.world.slots
        wanted = [job for job in self.store if job.due <= self.now and runs[job.name] < quarter]
        free = self.lanes.slots.free > 0
        if not (free and wanted):
            self.unused_since = None
        elif self.unused_since is None:
            self.unused_since = self.now
        else:
            assert self.now - self.unused_since < PATIENCE, "a slot is free, and nobody gets it"
        for name, lane in self.lanes._lanes.items():
            assert not (lane.jobs and free and lane.may_start()), f"{name} waits for nobody"


def live_through(some: Iterator[World], kind: type[Lanes[Job]] = Lanes) -> int:
    number = 0
    for number, world in enumerate(some, 1):  # noqa: B007  # it is returned
        try:
            Life(world, kind).live()
        except AssertionError as error:
            raise AssertionError(f"{world}: {error}") from error
    return number


@pytest.fixture(autouse=True)
def _nothing_heals_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is put back after seconds without a start would hide mistakes."""
    monkeypatch.setattr("duly._engine.lane._STUCK", 1e9)


@pytest.mark.parametrize("slots", range(1, 9))
def test_small_worlds(slots: int) -> None:
    assert live_through(worlds([slots], [1, 2, 5], [1, 4])) > 1000


class Hoarding(Lanes[Job]):
    """Keeps whatever waits for a name without a slot."""

    def _keeps(self, lane: Lane[Job], before: int) -> bool:
        return True


class Miscounting(Lanes[Job]):
    """Takes what waits for a name without a slot for something that will take a free one."""

    def add(self, jobs: Sequence[Job], now: float, **more: Any) -> list[tuple[Job, float]]:
        self.turns.ready = lambda: self.waiting  # type: ignore[method-assign]  # the mistake
        return super().add(jobs, now, **more)


@pytest.mark.parametrize("bug", [Hoarding, Miscounting])
def test_worlds_with_a_mistake_are_found(bug: type[Lanes[Job]]) -> None:
    with pytest.raises(AssertionError, match="World"):
        live_through(worlds([4, 8], [1, 2, 5], [1, 4]), bug)


@pytest.mark.slow
@pytest.mark.parametrize("slots", range(1, 9))
@pytest.mark.parametrize("batch", range(1, 9))
def test_all_small_worlds(slots: int, batch: int) -> None:
    assert live_through(worlds([slots], [batch], [1, 2, 3, 4])) > 1000
