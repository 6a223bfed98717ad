"""Who gets a slot: queues by event name, served in turn."""

from collections import Counter
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from duly._engine.lanes import Lane, Lanes


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
    lanes: Lanes[Job] = Lanes(slots, batch=20)
    lanes.add(jobs("a", 200), 0)
    assert len(take_all(lanes)) == max(1, slots // 4)
    assert not lanes.startable


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_below_four_slots_there_is_no_limit_and_one_order(slots: int) -> None:
    lanes: Lanes[Job] = Lanes(slots, batch=20)
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
    lanes: Lanes[Job] = Lanes(20, batch=20)
    lanes.add(jobs("a", 500), 0)
    taken = take_all(lanes)
    assert len(taken) == 5
    for _ in range(40):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
    assert len(taken) == 20


def test_each_publish_that_ends_earns_one_more() -> None:
    lanes: Lanes[Job] = Lanes(20, batch=20)
    lanes.add(jobs("a", 500), 0)
    taken = take_all(lanes)
    running = []
    for _ in range(5):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
        running.append(len(taken))
    assert running == [6, 7, 8, 9, 10]


def test_a_name_with_others_never_gets_the_last_quarter() -> None:
    lanes: Lanes[Job] = Lanes(20, batch=20)
    lanes.add([*jobs("b", 1), *jobs("a", 500)], 0)
    taken = take_all(lanes)
    for _ in range(40):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
    assert names(taken) == {"a": 15}
    lanes.add(jobs("b", 10), 0)
    assert names(take_all(lanes)) == {"b": 5}


def test_a_cut_short_publish_earns_nothing() -> None:
    lanes: Lanes[Job] = Lanes(8, batch=20)
    lanes.add(jobs("a", 50), 0)
    taken = take_all(lanes)
    for _ in range(10):
        lanes.leave(taken.pop(0)[0], 0, earned=False)
        taken += take_all(lanes)
    assert len(taken) == 2


def test_names_take_turns() -> None:
    lanes: Lanes[Job] = Lanes(100, batch=200)
    lanes.add([*jobs("a", 20), *jobs("b", 3), *jobs("c", 20)], 0)
    assert [job.name for _, job in take_all(lanes)][:9] == list("abcabcabc")


def hung(slots: int, count: int, batch: int = 10) -> Lanes[Job]:
    """Lanes of which a name has taken all that it may, a while ago."""
    lanes: Lanes[Job] = Lanes(slots, batch)
    lanes.add(jobs("a", count), 0)
    take_all(lanes)
    return lanes


def test_nobody_is_sent_back_before_it_is_known_to_be_slow() -> None:
    lanes = hung(20, 50)
    assert lanes.tick(0.02) == []
    assert lanes.waiting == 45


def test_a_slow_name_keeps_half_a_batch_and_the_oldest() -> None:
    lanes = hung(20, 50)
    back = lanes.tick(0.05)
    assert len(back) == 40
    assert [job.number for job in lanes.empty()] == [9, 8, 7, 6, 5]


def test_what_comes_in_while_it_is_slow_is_sent_back_at_once() -> None:
    lanes = hung(20, 8)
    lanes.tick(0.05)
    back = lanes.add([*jobs("a", 10), *jobs("b", 2)], 0.06)
    assert Counter(job.name for job, _ in back) == {"a": 8}
    assert names(take_all(lanes)) == {"b": 2}


def test_what_is_sent_back_returns_at_twice_the_pace_of_its_name() -> None:
    lanes = hung(20, 105)  # five of them run, for a tenth of a second so far: fifty in a second
    pauses = [pause for _, pause in lanes.tick(0.1)]
    apart = [later - sooner for sooner, later in pairwise(pauses)]
    assert pauses[0] == pytest.approx(0.06)
    assert apart == pytest.approx([0.01] * 94)


def test_nothing_is_sent_back_for_longer_than_half_a_minute() -> None:
    lanes = hung(4, 100)
    assert {pause for _, pause in lanes.tick(60)} == {30}


def test_unless_so_many_are_away_that_they_return_at_half_the_pace_of_claims() -> None:
    lanes: Lanes[Job] = Lanes(4, batch=100)
    lanes.add(jobs("a", 100), 0, took=1)  # a hundred in a second
    take_all(lanes)
    pauses = [pause for _, pause in lanes.tick(60)]
    assert pauses[0] == 30
    assert [b - a for a, b in pairwise(pauses)] == pytest.approx([1 / 50] * (len(pauses) - 1))
    assert len(pauses) > 1


def test_slow_names_share_the_half_batch() -> None:
    lanes: Lanes[Job] = Lanes(8, batch=20)
    for name in "abcd":
        lanes.add(jobs(name, 30), 0)
    take_all(lanes)
    lanes.tick(0.05)
    assert names([(Lane("", 1, 0), job) for job in lanes.empty()]) == dict.fromkeys("abcd", 2)


@pytest.mark.parametrize("batch", range(1, 9))
def test_there_is_room_whatever_waits_for_names_without_a_slot(batch: int) -> None:
    lanes = hung(8, 50, batch)
    lanes.tick(0.05)
    assert lanes.room() == min(batch, 6 + batch - batch // 2)
    for name in "bcd":
        lanes.add(jobs(name, 50), 0.06)
        take_all(lanes, 0.06)
    lanes.tick(0.11)  # every slot is taken, and still others are looked for
    assert lanes.room() == batch - batch // 2


def test_what_a_name_works_off_in_a_moment_is_not_sent_back() -> None:
    lanes: Lanes[Job] = Lanes(8, batch=10)
    lanes.add(jobs("a", 200), 0)
    taken, now = take_all(lanes), 0.0
    for _ in range(100):
        now += 0.0005
        lanes.leave(taken.pop(0)[0], now, earned=True, took=0.004)
        taken += take_all(lanes, now)
    lanes.tick(0.05)
    assert lanes.waiting == 40  # a hundred in 50 ms


def test_a_name_that_flows_again_keeps_all() -> None:
    lanes = hung(8, 50)
    lanes.tick(0.05)
    lanes.empty()
    for lane in lanes._lanes.values():
        lanes.leave(lane, 0.06, earned=True)
        lanes.leave(lane, 0.06, earned=True)
    lanes.tick(0.1)
    assert lanes.add(jobs("a", 50), 0.11) == []


def test_a_stalled_name_is_back_at_its_quarter() -> None:
    lanes: Lanes[Job] = Lanes(8, batch=2)
    lanes.add(jobs("a", 100), 0)
    taken = take_all(lanes)
    for _ in range(20):
        lanes.leave(taken.pop(0)[0], 0, earned=True)
        taken += take_all(lanes)
    assert len(taken) == 8
    lanes.tick(1)
    while taken:
        lanes.leave(taken.pop(0)[0], 1, earned=False)
    lanes.add(jobs("a", 100), 1)
    assert len(take_all(lanes, 1)) == 2


def test_idle_names_are_forgotten() -> None:
    lanes: Lanes[Job] = Lanes(8, batch=8)
    lanes.add(jobs("busy", 3), 0)
    held, _ = take_all(lanes)[0]
    for number in range(10_000):
        lanes.add([Job(f"name {number}")], 0)
        lane, _ = take_all(lanes)[0]
        lanes.leave(lane, 0, earned=True)
    assert len(lanes._lanes) <= 1024
    assert lanes._lanes["busy"] is held


def test_names_are_forgotten_in_the_middle_of_a_batch_and_none_is_lost() -> None:
    lanes: Lanes[Job] = Lanes(40, batch=200)
    for number in range(1022):
        lanes.add([Job(f"name {number}")], 0)
        lane, _ = take_all(lanes)[0]
        lanes.leave(lane, 0, earned=True)
    lanes.add([*jobs("b", 1), *jobs("c", 1), *jobs("hangs", 150), *jobs("quick", 20)], 0)
    assert lanes.waiting == 172
    assert names(take_all(lanes))["hangs"] <= 10


def test_a_name_that_is_alone_again_may_have_all_slots() -> None:
    lanes: Lanes[Job] = Lanes(20, batch=20)
    lanes.add([*jobs("b", 1), *jobs("a", 500)], 0)
    taken = take_all(lanes)
    for now in (0.5, 2.0):
        for _ in range(40):
            lanes.leave(taken.pop(0)[0], now, earned=True)
            taken += take_all(lanes, now)
        assert names(taken) == {"a": 15 if now < 1 else 20}  # of b nothing was seen for a second


def test_who_runs_nothing_goes_first() -> None:
    lanes: Lanes[Job] = Lanes(4, batch=10)
    lanes.add([*jobs("a", 5), *jobs("b", 5), *jobs("c", 5), *jobs("d", 5)], 0)
    taken = take_all(lanes)
    lanes.add(jobs("new", 5), 0)
    lanes.leave(taken.pop()[0], 0, earned=True)  # that of d, which runs nothing now
    assert [job.name for _, job in take_all(lanes)] == ["new"]


@pytest.mark.parametrize("took", [0.0, 1.0])
def test_who_runs_nothing_goes_before_who_runs_less_than_a_quarter(took: float) -> None:
    lanes: Lanes[Job] = Lanes(8, batch=10)
    lanes.add(jobs("new", 1), 0)
    ((lane, _),) = take_all(lanes)
    lanes.leave(lane, 0, earned=True, took=took)  # it has been found to be quick, or slow
    lanes.add([*jobs("a", 5), *jobs("b", 5), *jobs("c", 5), *jobs("d", 5)], 0)
    taken = take_all(lanes)
    lanes.leave(taken[0][0], 0, earned=True)  # one of the two of a, which waits first now
    lanes.add(jobs("new", 5), 0)
    assert [job.name for _, job in take_all(lanes)] == ["new"]


def test_a_name_that_was_alone_is_one_of_several_at_once() -> None:
    lanes: Lanes[Job] = Lanes(4, batch=10)
    lanes.add(jobs("a", 3), 0)
    ((lane, _),) = take_all(lanes)
    lanes.leave(lane, 0, earned=True)
    lanes.add(jobs("b", 4), 0)
    assert [job.name for _, job in take_all(lanes)] == ["a", "b", "a"]


def test_quick_names_go_before_slow_ones_three_times_out_of_four() -> None:
    lanes: Lanes[Job] = Lanes(4, batch=100)
    slow = [f"slow {number}" for number in range(8)]
    for name in slow:  # each has been found to be slow
        lanes.add([Job(name)], 0)
        ((lane, _),) = take_all(lanes)
        lanes.leave(lane, 1, earned=True, took=1)
    lanes.add(jobs("x", 1) + jobs("y", 1) + jobs("z", 1) + jobs("w", 1), 2)
    taken = take_all(lanes)
    lanes.add([Job(name) for name in slow] + [Job(f"quick {n}") for n in range(8)], 2)
    order = []
    while taken:
        lanes.leave(taken.pop()[0], 2, earned=True)
        more = take_all(lanes)
        taken += more
        order += [job.name.split()[0] for _, job in more]
    assert Counter(order[:8]) == {"quick": 6, "slow": 2}
    assert order[:4].count("slow") == 1


NAMES = st.sampled_from("abcde")


class LanesMachine(RuleBasedStateMachine):
    """Whatever comes and goes, the counts are right and the shares are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.slots = 9
        self.lanes: Lanes[Job] = Lanes(self.slots, batch=6)
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
        for job, pause in self.lanes.tick(self.now):
            assert 0.05 <= pause <= 30 + 1e-9
            self.waiting.remove(job)

    @rule()
    def empty(self) -> None:
        gone = self.lanes.empty()
        assert {id(each) for each in gone} == {id(each) for each in self.waiting}
        self.waiting = []

    @invariant()
    def counts(self) -> None:
        assert self.lanes.waiting == len(self.waiting)
        assert self.lanes.slots.running == len(self.taken) <= self.slots


TestLanes = LanesMachine.TestCase


@given(st.integers(4, 40), st.lists(NAMES, max_size=60))
def test_everything_is_served_in_the_end(slots: int, order: list[str]) -> None:
    lanes: Lanes[Job] = Lanes(slots, batch=200)
    lanes.add([Job(name) for name in order], 0)
    served = []
    while taken := take_all(lanes):
        for lane, job in taken:
            lanes.leave(lane, 0, earned=True)
            served.append(job.name)
    assert Counter(served) == Counter(order)


def test_one_that_was_alone_makes_room_when_another_name_comes() -> None:
    lanes: Lanes[Job] = Lanes(8, batch=16)
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


def test_a_pause_of_the_process_sends_nothing_of_a_quick_name_away_for_long() -> None:
    lanes: Lanes[Job] = Lanes(1000, 100)
    now = 0.0
    for _ in range(20):
        lanes.add(jobs("a", 100), now)
        for lane, _ in take_all(lanes):
            now += 0.000_05
            lanes.leave(lane, now, earned=True, took=0.000_05)
    lanes.tick(now)
    lanes.add(jobs("a", 1), now)
    ((lane, _),) = take_all(lanes)
    now += 0.09  # all of it stood still
    lanes.leave(lane, now, earned=True, took=0.09)
    sent_back = lanes.add(jobs("a", 3000), now)
    assert max((pause for _, pause in sent_back), default=0.0) < 0.2
