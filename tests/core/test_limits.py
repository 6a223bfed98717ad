"""Limits of transports: what they may say, and that lanes start no more."""

import asyncio
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from tests.core.test_lanes import Job, jobs, names, take_all

from duly import InvalidArgument
from duly._engine.lanes import Lane, Lanes
from duly._engine.limits import Caps, ToldLimits
from duly._engine.lingering import let_go, linger
from duly.transport import Limits, SupportsLimits


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"in_all": 0}, "in_all must be a whole number from 1, not 0"),
        ({"in_all": 2.0}, "in_all must be a whole number from 1, not 2.0"),
        ({"in_all": True}, "in_all must be a whole number"),
        ({"by_name": {"a": -1}}, r"by_name\['a'\] must be a whole number from 0, not -1"),
        ({"by_name": {"": 1}}, "by_name has a key that is not an event name: ''"),
        ({"by_name": {3: 1}}, "by_name has a key that is not an event name: 3"),
        ({"by_name": ["a"]}, "by_name must be a mapping, not list"),
        ({"by_name": {f"n{n}": 1 for n in range(1001)}}, "1000 keys, 50 of them prefixes"),
        ({"by_name": {f"n{n}.*": 1 for n in range(51)}}, "1000 keys, 50 of them prefixes"),
        ({"together": [(["a"], 0)]}, "a number in together must be a whole number from 1, not 0"),
    ],
)
def test_what_cannot_be_a_limit_is_refused(wrong: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        Limits(**wrong)  # type: ignore[arg-type]  # that is what is tried


def test_an_exact_name_counts_before_a_prefix_and_a_longer_prefix_before_a_shorter_one() -> None:
    caps: Caps[Lane[Job]] = Caps(
        Limits(by_name={"*": 1, "orders.*": 2, "orders.new.*": 3, "orders.new.x": 4, "orders": 5})
    )
    found = {
        name: [cap.most for cap in caps.of(name)]
        for name in ("mail", "orders.a", "orders.new", "orders.new.y", "orders.new.x", "orders")
    }
    assert found == {
        "mail": [1], "orders.a": [2], "orders.new": [2], "orders.new.y": [3], "orders.new.x": [4],
        "orders": [5],
    }  # fmt: skip


def test_a_prefix_is_one_number_for_all_its_names() -> None:
    lanes: Lanes[Job] = Lanes(100, 100, Limits(by_name={"mail.*": 3}))
    lanes.add([*jobs("mail.a", 2), *jobs("mail.b", 2), *jobs("mail.c", 2), *jobs("other", 2)], 0)
    assert names(take_all(lanes)) == {"mail.a": 1, "mail.b": 1, "mail.c": 1, "other": 2}


def test_names_that_share_a_number_take_turns_first_come_first_served() -> None:
    lanes: Lanes[Job] = Lanes(100, 100, Limits(together=[(("a", "b", "c"), 2)]))
    lanes.add([*jobs("a", 3), *jobs("b", 3), *jobs("c", 3)], 0)
    taken, order = take_all(lanes), []
    while taken:
        lane, job = taken.pop(0)
        order.append(job.name)
        lanes.leave(lane, 0, earned=True)
        taken += take_all(lanes)
    assert order == list("abcabcabc")


def test_names_under_a_prefix_share_a_number_with_others() -> None:
    by_name = {"a.*": 9, "a.async": 9, "a.b.*": 9}
    limits = Limits(by_name=by_name, together=[(("a.*", "c"), 2)])
    lanes: Lanes[Job] = Lanes(100, 100, limits)
    lanes.add([*jobs("a.x", 1), *jobs("a.y", 1), *jobs("c", 1)], 0)
    lanes.add([*jobs("a.async", 3), *jobs("a.b.c", 3), *jobs("d", 3)], 0)
    assert names(take_all(lanes)) == {"a.x": 1, "a.y": 1, "a.async": 3, "a.b.c": 3, "d": 3}


def test_what_waits_for_a_limit_goes_back_after_five_seconds_without_a_start() -> None:
    lanes: Lanes[Job] = Lanes(8, 100, Limits(by_name={"a": 1}))
    lanes.add(jobs("a", 3), 0)
    ((lane, _),) = take_all(lanes)
    assert lanes.tick(4.9) == []
    lanes.leave(lane, 4.9, earned=True)
    assert len(take_all(lanes, 4.9)) == 1
    assert lanes.tick(9.8) == []
    assert [job.number for job, _ in lanes.tick(10)] == [2]


def test_what_lingers_counts_for_the_limits_and_not_for_the_slots() -> None:
    lanes: Lanes[Job] = Lanes(8, 100, Limits(in_all=4, by_name={"a": 1}))
    lanes.add([*jobs("a", 3), *jobs("b", 1), *jobs("c", 3), *jobs("d", 1), *jobs("e", 1)], 0)
    taken = take_all(lanes)
    assert names(taken) == {"a": 1, "b": 1, "c": 1, "d": 1}
    lane, _ = taken[0]
    linger(lanes, lane)
    lanes.leave(lane, 0, earned=False)
    assert lanes.slots.running == 3
    assert take_all(lanes) == []
    let_go(lanes, lane)
    assert names(take_all(lanes)) == {"e": 1}


def test_other_limits_than_before_hold_at_once() -> None:
    lanes: Lanes[Job] = Lanes(40, 100)
    lanes.add([*jobs("a", 9), *jobs("b", 9)], 0)
    taken = take_all(lanes)
    assert len(taken) == 18
    lanes.limit(Limits(by_name={"a": 2}), 0.0)
    lanes.add(jobs("a", 5), 0)
    while taken:
        lanes.leave(taken.pop()[0], 0, earned=True)
    assert names(take_all(lanes)) == {"a": 2}
    lanes.limit(Limits(), 0.0)
    assert names(take_all(lanes)) == {"a": 3}


def test_none_of_a_name_may_start_just_now() -> None:
    lanes: Lanes[Job] = Lanes(40, 10, Limits(by_name={"a": 0}))
    lanes.add([*jobs("a", 9), *jobs("b", 1)], 0)
    assert names(take_all(lanes)) == {"b": 1}
    assert len(lanes.tick(1)) == 4
    assert lanes.room() > 0


class Telling:
    def __init__(self, limits: object) -> None:
        self._limits = limits

    def limits(self) -> object:
        return self._limits


def test_an_answer_that_is_no_limits_is_refused_by_name() -> None:
    told = Telling({"in_all": 3})
    assert isinstance(told, SupportsLimits)
    with pytest.raises(InvalidArgument, match=r"Telling.limits\(\) must return .*Limits, not dict"):
        ToldLimits(told)


LIMITS = st.builds(
    Limits,
    in_all=st.none() | st.integers(1, 6),
    by_name=st.dictionaries(st.sampled_from(["a", "b", "x.*", "x.a", "*"]), st.integers(0, 4)),
    together=st.lists(
        st.tuples(st.sets(st.sampled_from(["a", "b", "x.a", "x.b", "x.*"])), st.integers(1, 4)),
        max_size=2,
    ),
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "leave", "linger", "let go", "tick", "limit"]), st.integers(0, 9)
    ),
    max_size=60,
)


@given(st.integers(1, 9), LIMITS, LIMITS, STEPS)
def test_whatever_happens_no_limit_is_exceeded_and_nothing_waits_for_nobody(
    slots: int, limits: Limits, others: Limits, steps: list[tuple[str, int]]
) -> None:
    lanes: Lanes[Job] = Lanes(slots, 10, limits)
    now, taken, lingering = 0.0, list[tuple[Lane[Job], Job]](), list[Lane[Job]]()
    for step, number in steps:
        now += 0.02
        if step == "add":
            lanes.add(jobs(["a", "b", "x.a", "x.b", "y"][number % 5], number), now)
        elif step in ("leave", "linger") and taken:
            lane, _ = taken.pop(number % len(taken))
            if step == "linger":
                linger(lanes, lane)
                lingering.append(lane)
            lanes.leave(lane, now, earned=step == "leave")
        elif step == "let go" and lingering:
            let_go(lanes, lingering.pop(number % len(lingering)))
        elif step == "tick":
            lanes.tick(now)
        elif step == "limit":
            limits, others = others, limits
            lanes.limit(limits, now)
        before = {cap: cap.used for lane in lanes._lanes.values() for cap in lane.caps}
        taken += take_all(lanes, now)
        at_work = [*(lane for lane, _ in taken), *lingering]
        for cap in {cap for lane in at_work for cap in lane.caps}:
            assert cap.used == sum(cap in lane.caps for lane in at_work)
            assert cap.used <= max(cap.most, before[cap])
        assert lanes.slots.running == len(taken) <= slots
        for lane in lanes._lanes.values():  # whoever may start is listed to start
            free = lanes.slots.free > 0 and lane.may_start()
            assert not (lane.jobs and free)


@pytest.mark.parametrize(
    "together",
    [5, [5], None, "ab", [("ab", 1)], [([1], 1)], [(["a"], 1, 2)], [(["a"], 0)], [("", 1)]],
)
def test_what_is_no_group_of_names_is_refused_in_words(together: Any) -> None:
    with pytest.raises(InvalidArgument, match="Limits: "):
        Limits(together=together)


@pytest.mark.parametrize("error", [ValueError, SystemExit, asyncio.CancelledError, GeneratorExit])
def test_limits_that_cannot_be_asked_stay_as_they_were(error: type[BaseException]) -> None:
    class Moody:
        asked = 0

        def limits(self) -> Limits:
            self.asked += 1
            if self.asked > 1:
                raise error("not now")
            return Limits(in_all=3)

    told = ToldLimits(Moody())
    assert not told.changed()
    assert told.now == Limits(in_all=3)
