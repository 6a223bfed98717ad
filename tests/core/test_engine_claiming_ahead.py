"""Where a store tells that a claim was answered, the next one is sent before it is taken apart."""

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    delivering,
    down,
    emptied,
    kill,
    message,
    messages,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import Envelope, TransportUnavailable
from duly.store import Answered, Batch
from duly.testing.clock import run_virtually

TRIP = 0.010
"""Seconds from a claim to its answer."""
WORK = 0.008
"""Seconds to make messages of an answer."""


class SlowlyReadStore(WakingStore):
    """Its answers take a while to come, and a while to be taken apart."""

    claims_ahead = True

    def __init__(self, *, trip: float = TRIP, work: float = WORK) -> None:
        super().__init__()
        self.trip, self.work = trip, work
        self.sent: list[float] = []
        self.most = 0
        self.under_way = 0

    async def claim(self, *, answered: Answered | None = None, **more: Any) -> Batch:
        self.sent.append(now())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self.trip)
        try:
            batch = await super().claim(**more)
        finally:
            self.under_way -= 1
        if answered is not None:
            size = sum(len(claim.message.payload) for claim in batch.claims)
            await answered(len(batch.claims), size, batch.more)
        await asyncio.sleep(self.work)
        return batch


@run_virtually
async def test_the_next_claim_is_sent_when_the_one_before_is_answered() -> None:
    store, transport = SlowlyReadStore(), Probed()
    await scheduler(store, transport).schedule_many(messages(400))
    async with delivering(store, transport, batch_size=100):
        await emptied(store)
    full = store.sent[:4]
    assert full == pytest.approx([full[0] + TRIP * number for number in range(4)])
    assert store.most == 1  # the server is asked for one at a time, in order
    assert transport.ids == [f"event-{number}" for number in range(400)]


@run_virtually
async def test_no_more_is_claimed_than_there_is_room_for() -> None:
    store, transport = SlowlyReadStore(), Probed(sleeping(1))
    await scheduler(store, transport).schedule_many(messages(400))
    async with delivering(store, transport, batch_size=20, max_in_flight=30) as running:
        assert running._engine is not None
        lanes = running._engine.workers.lanes
        for _ in range(300):
            await asyncio.sleep(0.01)
            assert lanes.slots.running + lanes.waiting <= 30 + 20


@run_virtually
async def test_one_suspect_at_a_time() -> None:
    store, transport = SlowlyReadStore(), Probed(sleeping(1))
    await scheduler(store, transport).schedule_many(messages(3))
    for _ in range(2):  # lapses
        await store.inner.claim(limit=3, lease=timedelta(milliseconds=100), owner="dead")
        await asyncio.sleep(0.2)
    await scheduler(store, transport).schedule_many(messages(100, "other", due=-0.5))
    async with delivering(store, transport, batch_size=10, recovery=None):
        await until(lambda: len(transport.ids) == 103)
        suspects = [(time, each) for time, each in transport.ended if each.event_name == "event"]
        times = [time for time, _ in suspects]
        assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))


@run_virtually
async def test_a_claim_on_its_way_when_stopped_is_put_back() -> None:
    store, transport = SlowlyReadStore(), Probed(sleeping(0.5))
    client = scheduler(store, transport)
    await client.schedule_many(messages(200))
    running = scheduler(store, transport, batch_size=50)
    start = asyncio.create_task(running.start())
    await until(lambda: len(store.sent) >= 2 and store.under_way, within=1)
    sent = len(store.sent)
    await running.stop()
    await start
    assert len(store.sent) == sent
    assert store.under_way == 0
    stats = await store.inner.stats()
    assert stats.claimed == 0
    assert stats.scheduled + len(transport.ids) == 200


@run_virtually
async def test_one_that_fails_is_told_waited_out_and_sent_again() -> None:
    store, transport = SlowlyReadStore(), Probed()
    await scheduler(store, transport).schedule_many(messages(200))
    gone = down("claim")
    async with delivering(store, transport, batch_size=50) as running:
        await until(lambda: len(store.sent) == 2, within=1)
        store.faults.append(gone)
        await asyncio.sleep(1)
        assert (await running.health()).reason
        assert len(store.sent) < 20
        store.faults.remove(gone)
        await emptied(store)
    assert sorted(transport.ids) == sorted(f"event-{number}" for number in range(200))


@run_virtually
async def test_one_that_fails_while_stopping_ends_nothing() -> None:
    store, transport = SlowlyReadStore(), Probed()
    await scheduler(store, transport).schedule_many(messages(200))
    running = scheduler(store, transport, batch_size=50)
    start = asyncio.create_task(running.start())
    await until(lambda: len(store.sent) >= 2 and store.under_way, within=1)
    store.faults.append(down("claim"))
    await running.stop()
    await start
    assert (await store.inner.stats()).claimed == 0


@run_virtually
async def test_what_it_brings_during_an_outage_is_put_back_in_order() -> None:
    away = True

    async def publish(envelope: Envelope) -> None:
        if away:
            raise TransportUnavailable("gone")

    store, transport = SlowlyReadStore(), Probed(publish)
    await scheduler(store, transport).schedule_many(messages(200))
    async with delivering(store, transport, batch_size=50):
        await asyncio.sleep(3)
        assert (await store.inner.stats()).claimed <= 1  # a probe
        away = False
        await emptied(store)
    assert sorted(transport.ids) == sorted(f"event-{number}" for number in range(200))
    assert all(each.attempt == 1 for _, each in transport.ended)


@run_virtually
async def test_what_comes_in_behind_the_back_of_an_answer_is_not_slept_through() -> None:
    store, transport = SlowlyReadStore(trip=0.002, work=0.020), Probed(sleeping(3))
    await scheduler(store, transport).schedule_many(messages(100))
    async with delivering(store, transport, batch_size=50) as running:
        await until(lambda: len(store.sent) == 2, within=1)
        await asyncio.sleep(0.003)  # the second one was answered, and is not looked at yet
        await running.schedule(message(id="late", due=now() + 0.05))
        await until(lambda: transport.times("late"), within=0.2)


@run_virtually
async def test_a_store_of_which_a_wrapper_passes_on_all_but_claims() -> None:
    class Wrapper:
        def __init__(self, inner: SlowlyReadStore) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        async def claim(
            self,
            *,
            limit: int,
            lease: timedelta,
            owner: str,
            suspects: bool = True,
            settle: Any = (),
        ) -> Batch:
            return await self.inner.claim(
                limit=limit, lease=lease, owner=owner, suspects=suspects, settle=settle
            )

    store, transport = SlowlyReadStore(), Probed()
    await scheduler(store, transport).schedule_many(messages(200))
    async with delivering(Wrapper(store), transport, batch_size=50):
        await emptied(store)


@run_virtually
async def test_one_on_its_way_dies_with_its_scheduler() -> None:
    store, transport = SlowlyReadStore(), Probed(sleeping(10))
    await scheduler(store, transport).schedule_many([message(id=str(n)) for n in range(200)])
    victim = scheduler(store, transport, batch_size=50)
    start = asyncio.create_task(victim.start())
    await until(lambda: len(store.sent) >= 2 and store.under_way, within=1)
    await kill(victim)
    await asyncio.wait([start])
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "duly-claim"]
