"""Who gets a slot: queues by event name, served in turn."""

from collections import Counter

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from duly._lanes import Lane, Lanes


class Job:
    def __init__(self, name: str, number: int = 0) -> None:
        self.name = name
        self.number = number


def jobs(name: str, count: int) -> list[Job]:
    return [Job(name, number) for number in range(count)]


def take_all(lanes: Lanes[Job], now: float = 0.0) -> list[tuple[Lane[Job], Job]]:
    taken = []
    while (each := lanes.take(now)) is not None:
        taken.append(each)
    return taken


def names(taken: list[tuple[Lane[Job], Job]]) -> dict[str, int]:
    return Counter(job.name for _, job in taken)


@pytest.mark.parametrize("slots", [4, 5, 8, 100])
def test_a_name_starts_with_a_quarter_of_the_slots(slots: int) -> None:
    lanes: Lanes[Job] = Lanes(slots, keep=10)
    lanes.add(jobs("a", 200), 0)
    assert len(take_all(lanes)) == max(1, slots // 4)
    assert not lanes.startable


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_below_four_slots_there_is_no_limit_and_one_order(slots: int) -> None:
    lanes: Lanes[Job] = Lanes(slots, keep=10)
    some = [Job(name, number) for number, name in enumerate("aaabacab")]
    assert lanes.add(some, 0) == []
    taken = take_all(lanes)
    assert len(taken) == slots
    while taken:
        lane, job = taken.pop(0)
        assert job is some.pop(0)
        lanes.leave(lane, 0, earned=True)
        taken += take_all(lanes)
    assert not some


def test_a_name_alone_earns_all_slots_by_publishes_that_end() -> None:
    lanes: Lanes[Job] = Lanes(20, keep=10)
    lanes.add(jobs("a", 500), 0)
    taken = take_all(lanes)
    assert len(taken) == 5
    for _ in range(40):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
    assert len(taken) == 20


def test_a_name_with_others_never_gets_the_last_quarter() -> None:
    lanes: Lanes[Job] = Lanes(20, keep=10)
    lanes.add([*jobs("b", 1), *jobs("a", 500)], 0)
    taken = take_all(lanes)
    for _ in range(40):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
    assert names(taken) == {"a": 15}
    lanes.add(jobs("b", 10), 0)
    assert names(take_all(lanes)) == {"b": 5}


def test_a_cut_short_publish_earns_nothing() -> None:
    lanes: Lanes[Job] = Lanes(8, keep=10)
    lanes.add(jobs("a", 50), 0)
    taken = take_all(lanes)
    for _ in range(10):
        lanes.leave(taken.pop(0)[0], 0, earned=False)
        taken += take_all(lanes)
    assert len(taken) == 2


def test_names_take_turns() -> None:
    lanes: Lanes[Job] = Lanes(100, keep=100)
    lanes.add([*jobs("a", 20), *jobs("b", 3), *jobs("c", 20)], 0)
    assert [job.name for _, job in take_all(lanes)][:9] == list("abcabcabc")


def test_what_stalls_is_refused_but_for_a_few_to_go_on_with() -> None:
    lanes: Lanes[Job] = Lanes(20, keep=3)
    lanes.add(jobs("a", 50), 0)
    take_all(lanes)
    assert lanes.refuse_stalled(0.09) == []
    refused = lanes.refuse_stalled(0.1)
    assert len(refused) == 42
    assert {pause for _, pause in refused} == {0.1}
    assert lanes.waiting == 3
    assert [job.number for job in lanes.empty()] == [7, 6, 5]  # the oldest were kept


def test_what_comes_in_while_it_stalls_is_refused_at_once() -> None:
    lanes: Lanes[Job] = Lanes(20, keep=3)
    lanes.add(jobs("a", 8), 0)
    take_all(lanes)
    refused = lanes.add([*jobs("a", 10), *jobs("b", 2)], 0.2)
    assert Counter(job.name for job, _ in refused) == {"a": 10}
    assert lanes.waiting == 5
    assert names(take_all(lanes)) == {"b": 2}


def test_pauses_grow_each_time_that_those_sent_back_return() -> None:
    lanes: Lanes[Job] = Lanes(20, keep=1)
    lanes.add(jobs("a", 6), 0)
    take_all(lanes)
    pauses, now = [], 0.1
    for _ in range(8):
        ((_, pause), (_, again)) = lanes.add(jobs("a", 2), now)
        assert pause == again
        pauses.append(pause)
        now += pause
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10]


def test_a_publish_that_ends_starts_the_pauses_over() -> None:
    lanes: Lanes[Job] = Lanes(20, keep=1)
    lanes.add(jobs("a", 7), 0)
    taken = take_all(lanes)
    assert [lanes.add([Job("a")], now)[0][1] for now in (0.1, 0.2, 0.4)] == [0.1, 0.2, 0.4]
    lanes.leave(taken.pop()[0], 10, earned=True)
    taken += take_all(lanes, 10)
    lanes.add(jobs("a", 2), 10)
    assert lanes.refuse_stalled(10.05) == []
    assert [pause for _, pause in lanes.refuse_stalled(10.2)] == [0.1]


def test_a_stalled_name_is_back_at_its_quarter() -> None:
    lanes: Lanes[Job] = Lanes(8, keep=1)
    lanes.add(jobs("a", 100), 0)
    taken = take_all(lanes)
    for _ in range(20):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
    assert len(taken) == 8
    lanes.refuse_stalled(1)
    while taken:
        lanes.leave(taken.pop(0)[0], 1, earned=False)
    assert len(take_all(lanes, 1)) == 1  # what was kept; and then
    lanes.add(jobs("a", 100), 1)
    assert len(take_all(lanes, 1)) == 1


def test_idle_names_are_forgotten() -> None:
    lanes: Lanes[Job] = Lanes(8, keep=4)
    lanes.add(jobs("busy", 3), 0)
    held, _ = take_all(lanes)[0]
    for number in range(10_000):
        lanes.add([Job(f"name {number}")], 0)
        lane, _ = take_all(lanes)[0]
        lanes.leave(lane, 0, earned=True)
    assert len(lanes._lanes) <= 1024
    assert lanes._lanes["busy"] is held


NAMES = st.sampled_from("abcde")


class LanesMachine(RuleBasedStateMachine):
    """Whatever comes and goes, the counts are right and the shares are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = 9
        self.lanes: Lanes[Job] = Lanes(self.slots, keep=3)
        self.taken: list[tuple[Lane[Job], Job]] = []
        self.waiting: list[Job] = []
        self.now = 0.0

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.2, 3.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=NAMES, count=st.integers(0, 20))
    def add(self, name: str, count: int) -> None:
        some = jobs(name, count)
        refused = [job for job, _ in self.lanes.add(some, self.now)]
        self.waiting += [job for job in some if job not in refused]

    @rule()
    def take(self) -> None:
        running = Counter(job.name for _, job in self.taken)
        wanted = Counter(job.name for job in self.waiting)
        startable = self.lanes.startable
        taken = self.lanes.take(self.now)
        if taken is None:
            quarter = self.slots // 4
            assert len(self.taken) == self.slots or all(running[name] >= quarter for name in wanted)
            assert len(self.taken) == self.slots or not startable
            return
        _, job = taken
        # Nobody beyond a quarter is served while somebody waits who holds less.
        if running[job.name] >= self.slots // 4:
            assert all(running[name] >= self.slots // 4 for name in wanted)
        # Of one name, the oldest first.
        assert job is next(each for each in self.waiting if each.name == job.name)
        self.waiting.remove(job)
        self.taken.append(taken)

    @rule(place=st.integers(0, 8), earned=st.booleans())
    def leave(self, place: int, earned: bool) -> None:
        if self.taken:
            lane, _ = self.taken.pop(place % len(self.taken))
            self.lanes.leave(lane, self.now, earned=earned)

    @rule()
    def refuse(self) -> None:
        for job, pause in self.lanes.refuse_stalled(self.now):
            assert 0.1 <= pause <= 10
            self.waiting.remove(job)

    @rule()
    def empty(self) -> None:
        gone = self.lanes.empty()
        assert {id(each) for each in gone} == {id(each) for each in self.waiting}
        self.waiting = []

    @invariant()
    def counts(self) -> None:
        assert self.lanes.waiting == len(self.waiting)
        assert self.lanes.running == len(self.taken) <= self.slots


TestLanes = LanesMachine.TestCase


@given(st.integers(4, 40), st.lists(NAMES, max_size=60))
def test_everything_is_served_in_the_end(slots: int, order: list[str]) -> None:
    lanes: Lanes[Job] = Lanes(slots, keep=100)
    lanes.add([Job(name) for name in order], 0)
    served = []
    while taken := take_all(lanes):
        for lane, job in taken:
            lanes.leave(lane, 0, earned=True)
            served.append(job.name)
    assert Counter(served) == Counter(order)


def test_one_that_was_alone_makes_room_when_another_name_comes() -> None:
    lanes: Lanes[Job] = Lanes(8, keep=8)
    lanes.add(jobs("a", 100), 0)
    taken = take_all(lanes)
    for _ in range(20):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
    assert len(taken) == 8
    lanes.add(jobs("b", 1), 0)
    while taken:
        lanes.leave(taken.pop(0)[0], 0, earned=False)
    assert len([job for _, job in take_all(lanes) if job.name == "a"]) == 6


def test_a_slow_name_is_given_time_by_its_pace() -> None:
    lanes: Lanes[Job] = Lanes(8, keep=1)
    lanes.add(jobs("a", 100), 0)
    taken = take_all(lanes)
    lanes.leave(taken.pop()[0], 1, earned=True, took=1)
    take_all(lanes)
    assert lanes.refuse_stalled(2.9) == []
    assert lanes.refuse_stalled(3) != []
