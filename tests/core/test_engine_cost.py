"""What it costs: quiet when idle, few round trips, bounded memory."""

import asyncio
import gc
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    WatchedStore,
    delivering,
    emptied,
    fail,
    lost_answer,
    message,
    messages,
    now,
    scheduler,
    sleeping,
)

from duly import Every
from duly._engine.in_hand import Hand
from duly._engine.lanes import Lane
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@run_virtually
async def test_an_idle_scheduler_is_quiet() -> None:
    store = WakingStore()
    async with delivering(store, fail):
        await asyncio.sleep(60)
        assert store.count() <= 15


@run_virtually
async def test_idle_with_messages_for_later_it_makes_at_most_a_call_a_second() -> None:
    store = WakingStore()
    async with delivering(store, fail) as running:
        await running.schedule_many([message(due=3600 + number) for number in range(1000)])
        await running.schedule(message(recurrence=Every(MINUTE * 10), due=1800))
        await asyncio.sleep(1)
        await asyncio.sleep(60)
        assert store.count(since=1) <= 15


@run_virtually
async def test_with_a_long_publish_in_hand_it_makes_at_most_a_call_a_second() -> None:
    store = WakingStore()
    async with delivering(store, sleeping(100), publish_timeout=MINUTE * 5) as running:
        await running.schedule(message())
        await asyncio.sleep(61)
        assert store.count(since=1) <= 15


@run_virtually
async def test_several_idle_schedulers_do_not_wake_each_other() -> None:
    store = WakingStore()
    async with delivering(store, fail), delivering(store, fail), delivering(store, fail):
        await asyncio.sleep(61)
        assert store.count(since=1) <= 45


@run_virtually
async def test_where_the_store_cannot_wake_it_it_looks_every_poll_interval() -> None:
    store = WatchedStore()
    async with delivering(store, fail, poll_interval=SECOND * 2):
        await asyncio.sleep(60)
        assert 28 <= store.count("claim") <= 31
        assert store.count() == store.count("claim", "open")


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_a_batch_costs_one_call(kind: type[Probed]) -> None:
    store = WakingStore()
    await scheduler(store, fail).schedule_many(messages(1000))
    async with delivering(store, kind(), batch_size=100):
        await emptied(store)
    assert store.count("claim") <= 10 + 3
    assert store.count("settle", "renew") == 0
    assert len(store.settles) == 10


@run_virtually
async def test_slow_publishes_cost_a_few_more_and_no_more_per_message() -> None:
    store = WakingStore()
    await scheduler(store, fail).schedule_many(messages(1000))
    async with delivering(store, Probed(sleeping(0.02)), batch_size=100, max_in_flight=400):
        await emptied(store)
    assert store.count("claim", "settle") <= 4 * 10


@run_virtually
async def test_a_full_batch_is_followed_by_the_next_claim_at_once() -> None:
    store, transport = WakingStore(), Probed(sleeping(0.05))
    await scheduler(store, fail).schedule_many(messages(100))
    begun = now()
    async with delivering(store, transport, batch_size=10, max_in_flight=400):
        await emptied(store)
    claims = [time for time, verb in store.calls if verb == "claim"]
    assert claims[9] == begun  # none of them waited for a publish to end


@run_virtually
async def test_publishing_and_claiming_overlap() -> None:
    store, transport = WakingStore(), Probed(sleeping(0.1))

    async def slow(verb: str, done: bool) -> None:
        if verb == "claim" and done:
            await asyncio.sleep(0.1)

    store.faults.append(slow)
    await scheduler(store, fail).schedule_many(messages(1000))
    begun = now()
    async with delivering(store, transport, batch_size=100, max_in_flight=1000):
        await emptied(store)
    assert now() - begun < 10 * 0.1 + 0.35  # one after the other it would take twice as long


@run_virtually
async def test_settlements_travel_with_the_next_claim() -> None:
    store, transport = WakingStore(), Probed(sleeping(0.001))
    async with delivering(store, transport) as running:
        for number in range(100):
            await running.schedule(message(due=number * 0.1))
        await emptied(store)
        assert store.count("settle") == 0


@run_virtually
async def test_however_many_names_and_messages_pass_through_nothing_is_left_of_them() -> None:
    store = WakingStore()

    async def publish(envelope: Any) -> None:
        if envelope.attempt == 1 and envelope.message_id.endswith("3"):
            raise ValueError

    before = alive()
    async with delivering(store, publish, batch_size=500) as running:
        engine = running._engine
        assert engine is not None
        for turn in range(4):
            due = now() - 1
            await running.schedule_many(
                [message(f"name {turn} {number}", due) for number in range(1500)]
            )
            store.faults.append(lost_answer("claim", "settle"))
            await emptied(store, within=600)
        await asyncio.sleep(1)
        assert len(engine.workers.lanes._lanes) <= 1024
        assert engine.hands.held == {}
        assert not engine.hands._unanswered
        assert not engine.hands._waiting
        assert not engine.hands.some.is_set()
        assert engine.workers.lanes.waiting == engine.workers.lanes.slots.running == 0
        assert engine.outage._losses == {}
        assert len(engine.workers._pool.workers) <= 1000
        after = alive()
        assert after[Hand] == before[Hand]
        assert after[Lane] - before[Lane] <= 1024
    assert len(asyncio.all_tasks()) == 1


def alive() -> Counter[type]:
    gc.collect()
    return Counter(type(each) for each in gc.get_objects())


@run_virtually
async def test_a_backlog_of_any_size_is_held_by_the_store_and_not_here() -> None:
    store, transport = WakingStore(), Probed(sleeping(1000))
    for number in range(5):
        await scheduler(store, fail).schedule_many(messages(1000, f"name {number}"))
    async with delivering(store, transport, max_in_flight=20, batch_size=50) as running:
        await asyncio.sleep(20)
        assert (await running.stats()).claimed <= 20 + 50
        await running.stop(timedelta(0))


@run_virtually
async def test_after_a_stop_no_task_is_left() -> None:
    store = WakingStore()
    async with delivering(store, sleeping(0.1)) as running:
        await running.schedule_many(messages(50))
        await asyncio.sleep(0.05)
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
