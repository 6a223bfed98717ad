"""How many bytes of payload a scheduler takes in hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WatchedStore,
    at,
    delivering,
    emptied,
    message,
    scheduler,
    sleeping,
    until,
)
from tests.core.test_engine_claiming_ahead import SlowlyReadStore

from duly import Envelope, InvalidArgument, Scheduler
from duly._engine.weight import Weight
from duly.message import Message
from duly.store import Claim
from duly.testing.clock import run_virtually
from duly.transport import Limits

KIB = 1024
LIMITS = Limits(by_name={"report": 2})


class Held:
    """A receiver that takes its time; knows how many bytes it has, and the most it ever had."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.bytes = self.most = self.count = 0

    async def __call__(self, envelope: Envelope) -> None:
        self.bytes += len(envelope.payload)
        self.most = max(self.most, self.bytes)
        await asyncio.sleep(self.seconds)
        self.bytes -= len(envelope.payload)
        self.count += 1


def sized(count: int, size: int, name: str = "event") -> list[Message]:
    return [message(name, -1.0, payload=b"x" * size) for _ in range(count)]


@pytest.mark.parametrize("batch", [1, 7, 100])
@pytest.mark.parametrize("size", [1, KIB, 100 * KIB])
@run_virtually
async def test_no_more_bytes_are_in_hand_than_asked_for(batch: int, size: int) -> None:
    store, receiver, most = WatchedStore(), Held(0.5), 20 * size
    async with delivering(store, receiver, batch_size=batch, max_bytes_in_flight=most) as running:
        await running.schedule_many(sized(200, size))
        await emptied(store)
    assert receiver.count == 200
    assert receiver.most <= max(most, batch * size), "nobody knew the size of the first batch"
    assert receiver.most > most // 2, "the room is used"


@run_virtually
async def test_one_that_is_larger_than_there_may_be_is_delivered_alone() -> None:
    store, receiver = WatchedStore(), Held(1.0)
    async with delivering(store, receiver, max_bytes_in_flight=10, batch_size=2) as running:
        await running.schedule_many(sized(2, KIB))
        await until(lambda: receiver.count == 2)
        receiver.most = 0
        await running.schedule_many(sized(6, KIB))
        await emptied(store)
    assert (receiver.most, receiver.count) == (KIB, 8)


@run_virtually
async def test_small_ones_after_large_ones_find_their_room_again() -> None:
    store, receiver = WatchedStore(), Held(0.01)
    async with delivering(store, receiver, max_bytes_in_flight=4 * KIB, batch_size=50) as running:
        await running.schedule_many(sized(20, KIB))
        await emptied(store)
        del store.limits[:]
        await running.schedule_many(sized(5000, 1))
        await emptied(store)
    assert store.limits[0] <= 4
    assert store.limits.count(50) > 20


@run_virtually
async def test_a_larger_batch_exceeds_it_once() -> None:
    store, receiver = WatchedStore(), Held(1.0)
    large = [message("large", -0.5, payload=b"x" * 32 * KIB) for _ in range(40)]
    async with delivering(store, receiver, batch_size=10, max_bytes_in_flight=64 * KIB) as running:
        await running.schedule_many([*sized(200, KIB), *large])
        await emptied(store, within=200)
    assert receiver.count == 240
    assert receiver.most <= (64 + 10 * 32) * KIB


@run_virtually
async def test_where_claims_are_sent_ahead_what_is_coming_counts() -> None:
    store, receiver = SlowlyReadStore(trip=0.01, work=0.05), Held(0.5)
    async with delivering(store, receiver, batch_size=10, max_bytes_in_flight=30 * KIB) as running:
        await running.schedule_many(sized(200, KIB))
        await emptied(store)
    assert receiver.count == 200
    assert receiver.most <= 30 * KIB


@run_virtually
async def test_what_has_its_outcome_at_once_weighs_nothing() -> None:
    """What has expired is settled before anything is published."""
    store, receiver = WatchedStore(), Held(0.1)
    async with scheduler(store, receiver, batch_size=5, max_bytes_in_flight=KIB) as running:
        end = message(due=0.001).scheduled_at
        await running.schedule_many(
            message("late", payload=b"x" * KIB, expires_at=end) for _ in range(40)
        )
        await asyncio.sleep(1)
        await running.schedule_many(sized(4, 10))
        async with running.running():
            await until(lambda: receiver.count == 4, within=5)


@run_virtually
async def test_what_a_drain_leaves_weighs_nothing_in_the_next_run() -> None:
    store, receiver = WatchedStore(), Held(0.1)
    for _ in range(3):
        async with delivering(
            store, receiver, batch_size=2, max_bytes_in_flight=2 * KIB
        ) as running:
            await running.schedule_many(sized(10, KIB))
            await until(lambda: receiver.count > 0)
    async with delivering(store, receiver, max_bytes_in_flight=2 * KIB):
        await emptied(store)
    assert receiver.count == 30


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None, True, 2**60])
def test_what_is_no_number_of_bytes_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="max_bytes_in_flight must be"):
        Scheduler("memory://", print, load_plugins=False, max_bytes_in_flight=value)


def claims(*sizes: int) -> Sequence[Claim]:
    return [
        Claim(number, Message("event", b"x" * size, scheduled_at=message(due=0).scheduled_at))
        for number, size in enumerate(sizes)
    ]


def test_the_largest_of_late_is_remembered_for_a_thousand() -> None:
    weight = Weight(1000)
    assert weight.room(0) > 10**9, "nobody knows yet"
    assert weight.weigh(claims(100, 1)) == 101
    assert (weight.room(0), weight.room(901), weight.room(999), weight.room(1000)) == (10, 1, 1, 0)
    for _ in range(998):
        weight.weigh(claims(1))
    assert weight.room(0) == 10
    for _ in range(1001):
        weight.weigh(claims(1))
    assert weight.room(0) == 1000


def test_what_may_wait_fits_into_half() -> None:
    weight = Weight(1000)
    assert weight.fit(0, 0) > 10**9
    assert weight.fit(400, 4) == 5
    assert weight.fit(4000, 4) == 0


@pytest.mark.parametrize(
    ("size", "bound", "batch"), [(256, 4096, 100), (256, 4096, 10), (1024, 65536, 500)]
)
@run_virtually
async def test_large_ones_that_wait_for_a_limit_hold_up_no_other_name(
    size: int, bound: int, batch: int
) -> None:
    class Limited(Probed):
        def limits(self) -> Limits:
            return LIMITS

    store, transport = WatchedStore(), Limited(sleeping(0.5, only=["report"]))
    async with delivering(store, transport, batch_size=batch, max_bytes_in_flight=bound) as running:
        await running.schedule_many(sized(400, size, "report"))
        for number in range(10):
            await running.schedule(message("urgent", float(number)))
        await asyncio.sleep(11)
        late = [
            (at(time) - envelope.scheduled_at).total_seconds()
            for time, envelope in transport.ended
            if envelope.event_name == "urgent"
        ]
        reports = sum(envelope.event_name == "report" for _, envelope in transport.ended)
        await running.stop()
    assert len(late) == 10
    assert max(late) < 0.5
    assert reports >= 36


def test_payloads_of_nothing_bound_nothing() -> None:
    weight = Weight(1)
    for _ in range(3):
        assert weight.weigh(claims(0, 0)) == 0
        assert weight.room(0) > 10**9
