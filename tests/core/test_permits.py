"""Slots of a rate and leases of parallelism, as those who draw them work them out."""

import heapq
import random
from typing import Any

import pytest
from tests.core.controls_kit import most_in

from duly._engine.lane import Lane
from duly._engine.permits import LEASE, FlightCap, Permits, RateCap, drawn, shared
from duly._engine.sidings import HeldBack
from duly._values.controls import Control, Limit, Pause, Rules
from duly._values.limits import Limits
from duly._values.lines import Rooms
from duly.store import PAUSED
from duly.testing.clock import START

SECOND = 1_000_000


@pytest.mark.parametrize("rate", [0.1, 1.0, 1.05, 1.5, 3.0, 10.0, 50.0, 1000.0])
@pytest.mark.parametrize("seed", range(3))
def test_however_many_draw_no_more_begin_than_the_rate_allows(rate: float, seed: int) -> None:
    """Each draws, holds what it has for a while, and may be frozen with it."""
    rng = random.Random(seed)
    far = 0.005 if seed < 2 else 0.3
    span = max(20.0, 5 / rate)
    next_at: int | None = None
    begun: list[float] = []
    caps: list[RateCap[Any]] = [RateCap(rate) for _ in range(5)]
    turns = [(rng.random() * 0.1, n) for n in range(len(caps))]
    heapq.heapify(turns)
    while turns[0][0] < span:
        now, n = heapq.heappop(turns)
        cap = caps[n]
        took = rng.random() * far  # to the store and back
        later = int((now + cap.lead) * SECOND)
        next_at, slots = drawn(next_at, later, rate, rng.choice([1, 3, 200]))
        cap.add([slot / SECOND + took for slot in slots], took)
        at = now + took
        for _ in range(rng.choice([1, 1, 1, 5])):
            while cap.is_open(at):
                cap.take()
                begun.append(at)
            at += rng.choice([0.01, 0.05, 0.9])
        heapq.heappush(turns, (at + rng.random() * 0.02, n))
    begun.sort()
    for seconds in (1, 2, 5, 10, span):
        assert most_in(begun, seconds) <= rate * seconds + max(1.0, rate) + 1e-6
    assert rate > 3 or far > 0.1 or len(begun) > 0.4 * rate * span, "nor are many wasted"


def test_an_idle_rule_saves_up_no_burst() -> None:
    next_at, slots = drawn(None, 0, 50, 1000)
    assert len(slots) <= 13
    _, slots = drawn(next_at, 3600 * SECOND, 50, 1000)
    assert len(slots) <= 13


def test_a_rate_that_was_lower_or_a_clock_that_was_put_back_holds_up_nobody() -> None:
    next_at, slots = drawn(None, 0, 0.001, 1)
    assert slots == [0]
    assert next_at == 1000 * SECOND
    next_at, slots = drawn(next_at, SECOND, 10, 1)
    assert not slots
    assert next_at <= SECOND + 1_300_000


def test_a_slot_that_nobody_used_in_time_is_void() -> None:
    cap: RateCap[Any] = RateCap(10)
    cap.add([1.0, 1.1, 5.0], 0.0)
    assert not cap.is_open(0.99)
    assert cap.next_at == 1.0
    assert cap.is_open(1.0)
    assert (cap.left, cap.full, cap.drawn) == (1, False, 3)
    assert not cap.is_open(4.9)
    assert cap.is_open(5.0)
    cap.take()
    assert cap.full


def test_leases_are_never_more_than_allowed() -> None:
    rng = random.Random(1)
    held: dict[str, Any] = {}
    for now in range(0, 300 * SECOND, SECOND):
        held, ours = shared(held, now, f"owner-{rng.randrange(4)}", 5, rng.randrange(8))
        assert ours <= 5
        assert sum(number for number, until in held.values() if until > now) <= 5


def test_what_a_dead_one_holds_is_free_when_its_lease_has_ended() -> None:
    held, ours = shared({}, 0, "dead", 1, 1)
    assert ours == 1
    assert shared(held, LEASE - 1, "other", 1, 1)[1] == 0
    assert shared(held, LEASE, "other", 1, 1) == ({"other": [1, 2 * LEASE]}, 1)
    assert shared(held, 5, "dead", 1, 0) == ({}, 0)


def test_caps_outlive_a_change_of_other_rules() -> None:
    limit = Control(limit=Limit(since=START, rate=5.0, in_flight=2))
    first: Permits[Any] = Permits(Rules({"a.*": limit}))
    second: Permits[Any] = Permits(Rules({"a.*": limit, "b": limit}), first)
    assert second.of("a.x") == first.of("a.x")
    assert len(second.of("b")) == 2
    assert not second.of("c")
    lower = Control(limit=Limit(since=START, rate=1.0, in_flight=1))
    rate, flight = Permits(Rules({"a.*": lower}), second).of("a.y")
    assert rate is not first.of("a.x")[0]
    assert isinstance(flight, FlightCap)
    assert flight.allowed == 1


def test_the_longest_rule_that_has_a_number_gives_it() -> None:
    rules = Rules(
        {
            "*": Control(limit=Limit(since=START, rate=1.0)),
            "a.*": Control(limit=Limit(since=START, in_flight=7)),
            "a.b.*": Control(limit=Limit(since=START, rate=2.0)),
        }
    )
    permits: Permits[Any] = Permits(rules)
    rate, flight = permits.of("a.b.c")
    assert (rate, flight) == (permits.rates["a.b.*"], permits.in_flight["a.*"])
    assert permits.of("x") == (permits.rates["*"],)


@pytest.mark.parametrize("paused", [0, 40, 990])
def test_paused_and_held_back_they_are_never_more_keys_than_a_claim_takes(paused: int) -> None:
    """Nor does a prefix hold up what must not fall under it."""
    limit, pause = Limit(since=START, rate=5.0), Pause(since=START)
    prefixes = {f"p{n}.*": Control(limit=limit) for n in range(40)}
    names = {f"p1.but.{n}": Control(pause=pause) for n in range(paused)}
    held_back: HeldBack[Any] = HeldBack(Limits(by_name={f"q{n}.*": 1 for n in range(40)}), 100)
    held_back.able = True
    held_back.control(Rules({**prefixes, **names, "p1.own": Control(limit=limit)}))
    for n in range(40):
        for name in (f"p{n}.a", f"q{n}.a", f"r{n}"):
            held_back.add(Lane(name, 1, 0.0))
    most = held_back.most(4, 50, 10, 0.0)
    Rooms(most)  # it would refuse more
    assert all(most[name] == PAUSED for name in names)
    assert "p1.*" not in most or "p1.own" in most
