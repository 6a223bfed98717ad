"""What is known of the store's clock: what time it is there, and when a claim has to leave."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    at,
    delivering,
    emptied,
    message,
    now,
    scheduler,
)

from duly._engine.store_time import StoreTime
from duly._engine.waiting import Alarm
from duly.health import Report, Status
from duly.store import Batch
from duly.testing.clock import run_virtually

MS = timedelta(milliseconds=1)


class FarStore(WakingStore):
    """A way of so many seconds there, one for each claim in turn, and of as many back."""

    def __init__(self, *ways: float) -> None:
        super().__init__()
        self.ways = ways
        self.batches: list[Batch] = []

    async def claim(self, **more: Any) -> Batch:
        way = self.ways[len(self.batches) % len(self.ways)]
        await asyncio.sleep(way)
        batch = await super().claim(**more)
        self.batches.append(batch)
        await asyncio.sleep(way)
        return batch


def missed_by(batch: Batch) -> timedelta:
    """How late a claim came for its message."""
    return batch.now - batch.claims[0].message.scheduled_at


async def asked(time: StoreTime, there: float, back: float) -> None:
    sent = now()
    await asyncio.sleep(there)
    heard = at(now())
    await asyncio.sleep(back)
    time.hear(heard, sent)


@run_virtually
async def test_lateness_counts_from_the_middle_of_the_last_question_and_answer() -> None:
    time = StoreTime()
    await asked(time, 0.2, 0.2)
    assert time.since(at(0.1)) == 300 * MS
    await asyncio.sleep(3)
    assert time.since(at(0.1)) == 3300 * MS
    start = now()
    await asked(time, 0.3, 0.1)
    assert time.since(at(start)) == 500 * MS  # for 400
    start = now()
    await asked(time, 0.0, 0.4)
    assert time.since(at(start)) == 200 * MS  # though never less than what was heard
    assert time.since(at(now()) + 300 * MS) == timedelta(0)


@pytest.mark.parametrize("ahead", [True, False])
@run_virtually
async def test_clocks_that_are_more_than_a_second_apart_are_told(*, ahead: bool) -> None:
    time = StoreTime()
    for apart, status in (1000 * MS, Status.HEALTHY), (1001 * MS, Status.DEGRADED):
        time.offset = apart if ahead else -apart
        report = Report()
        time.examine(report)
        assert report.health().status is status


@run_virtually
async def test_now_may_be_later_and_never_earlier() -> None:
    time = StoreTime()
    for there, back in ((0.2, 0.2), (0.0, 5.0), (5.0, 0.0), (0.0, 0.0)):
        await asked(time, there, back)
        assert time.now() == at(now() + there)
    await asyncio.sleep(3)
    assert time.now() == at(now())


@run_virtually
async def test_an_answer_that_was_overtaken_tells_nothing() -> None:
    time = StoreTime()
    first = now()
    await asyncio.sleep(1)
    await asked(time, 0.0, 0.1)
    time.hear(at(1_000_000), first)
    assert time.now() == at(now())


@run_virtually
async def test_a_claim_leaves_as_much_before_as_the_quickest_took_to_the_store() -> None:
    time = StoreTime()
    due = at(60)
    for there in (0.004, 0.002, 0.003):
        await asked(time, there, 0.001)
        time.learn()
    await asked(time, 0.001, 0.001)  # one that was not to meet a due time
    assert time.seconds_until(due) == pytest.approx(60 - 0.002 - now())
    for _ in range(16):  # and no longer than that do we remember
        await asked(time, 0.003, 0.001)
        time.learn()
    assert time.seconds_until(due) == pytest.approx(60 - 0.003 - now())


@run_virtually
@pytest.mark.parametrize("step", [-3.0, 3.0])
async def test_a_clock_that_was_put_elsewhere_is_believed_at_once(step: float) -> None:
    time = StoreTime()
    for _ in range(16):
        await asked(time, 0.001, 0.001)
        time.learn()
    time.hear(at(now() + step), now())
    assert time.seconds_until(at(60)) == pytest.approx(60 - step - now(), abs=0.005001)


@run_virtually
@pytest.mark.parametrize("way", [0.0, 0.0007, 0.004])
async def test_claims_meet_due_times_however_long_the_way(way: float) -> None:
    store, transport = FarStore(way), Probed()
    await scheduler(store, transport).schedule_many(
        [message(f"e{number}", due=1 + number / 10) for number in range(40)]
    )
    async with delivering(store, transport):
        await emptied(store)
    late = [missed_by(batch) for batch in store.batches if batch.claims]
    assert all(timedelta(0) <= each <= way * 2000 * MS + 0.001 * MS for each in late)
    assert all(each <= 0.002 * MS for each in late[1:])
    assert len(store.batches) <= 2 * 40 + 2  # each with one message, and one that settles it


@run_virtually
async def test_a_claim_that_came_too_early_is_sent_again_at_once() -> None:
    store, transport = FarStore(0.0011, 0.0008, 0.0009, 0.001), Probed()
    await scheduler(store, transport).schedule_many(
        [message(f"e{number}", due=1 + number / 10) for number in range(100)]
    )
    async with delivering(store, transport):
        await emptied(store)
    late = [missed_by(batch) for batch in store.batches if batch.claims]
    assert len(late) == 100
    assert all(timedelta(0) <= each <= 3 * MS for each in late)
    assert sorted(late)[50] <= 0.5 * MS


@run_virtually
async def test_what_sums_of_seconds_leave_over_is_no_time_to_wait() -> None:
    """Where time stands still meanwhile, such a wait might be repeated without an end."""
    waits: list[float] = []

    async def noted(alarm: Alarm, event: asyncio.Event, seconds: float) -> bool:
        waits.append(seconds)
        return await wait_of_alarms(alarm, event, seconds)

    wait_of_alarms = Alarm.wait
    chance = random.Random(1)
    store, transport = FarStore(*(chance.random() / 1000 for _ in range(97))), Probed()
    dues = [chance.random() * 100 for _ in range(200)]
    await scheduler(store, transport).schedule_many(
        [message(f"e{number}", due=due) for number, due in enumerate(dues)]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Alarm, "wait", noted)
        async with delivering(store, transport):
            await emptied(store, within=101)
    assert len(waits) >= 150
    assert min(waits) > 0.000_000_5
