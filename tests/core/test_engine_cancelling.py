"""Cancel tells the truth, and what is fenced changes nothing."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    at,
    delivering,
    down,
    emptied,
    fail,
    kill,
    message,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import (
    Cancellation,
    Envelope,
    Every,
    MessageNotFound,
    State,
    WrongState,
)
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


@run_virtually
async def test_cancelled_means_that_it_is_not_published() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x", due=1))
        await asyncio.sleep(0.999999)
        assert await running.cancel("x") is Cancellation.CANCELLED
        await asyncio.sleep(10)
    assert not transport.begun


@run_virtually
async def test_too_late_means_that_it_may_be_published_once_and_is_gone() -> None:
    store, transport = WakingStore(), Probed(sleeping(2))
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x"))
        await asyncio.sleep(1)
        assert await running.cancel("x") is Cancellation.TOO_LATE
        with pytest.raises(MessageNotFound):
            await running.get("x")
        await asyncio.sleep(60)
    assert len(transport.begun) == 1


@run_virtually
async def test_too_late_is_not_published_by_another_should_its_holder_die() -> None:
    store, transport, other = WakingStore(), Probed(sleeping(100)), Probed()
    victim = scheduler(store, transport, stuck_duration=SECOND * 3)
    start = asyncio.create_task(victim.start())
    await victim.schedule_many([message(id="x"), message(id="y")])
    await asyncio.sleep(1)
    assert await victim.cancel("x") is Cancellation.TOO_LATE
    await kill(victim)
    await asyncio.wait([start])
    async with delivering(store, other):
        await asyncio.sleep(60)
    assert other.ids == ["y"]


@pytest.mark.parametrize("outcome", ["delivered", "failed", "interrupted"])
@pytest.mark.parametrize("recurring", [False, True])
@run_virtually
async def test_cancelled_in_flight_and_scheduled_again_the_new_one_is_delivered(
    outcome: str, recurring: bool
) -> None:
    """Whatever becomes of the old one is no matter to the new one under its id."""
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.payload == b"old":
            await asyncio.sleep(1000 if outcome == "interrupted" else 2)
            if outcome == "failed":
                raise ValueError

    every = Every(SECOND * 7) if recurring else None
    transport = Probed(publish)
    options: dict[str, Any] = {"publish_timeout": SECOND * 2000}
    running = scheduler(store, transport, **options)
    start = asyncio.create_task(running.start())
    await running.schedule(message(id="x", payload=b"old", recurrence=every))
    await asyncio.sleep(1)
    assert await running.cancel("x") is Cancellation.TOO_LATE
    await running.schedule(message(id="x", payload=b"new", due=20, created_at=at(1)))
    if outcome == "interrupted":
        await running.stop(timedelta(0))
        await start
        start = asyncio.create_task(running.start())
    await asyncio.sleep(5)
    new = await running.get("x")
    assert (new.payload, new.state, new.retry_count) == (b"new", State.SCHEDULED, 0)
    await emptied(store)
    assert [(time, each.payload) for time, each in transport.begun] == [(0, b"old"), (20, b"new")]
    assert len({each.delivery_id for _, each in transport.begun}) == 2
    await running.stop()
    await start


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_replaced_in_flight_both_are_published_and_the_new_one_counts(
    kind: type[Probed],
) -> None:
    store, transport = WakingStore(), kind(sleeping(2))
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x", payload=b"old"))
        await asyncio.sleep(1)
        new = message(id="x", payload=b"new", due=1, created_at=at(1))
        await running.schedule(new, replace=True)
        await emptied(store)
    assert [(time, each.payload) for time, each in transport.begun] == [(0, b"old"), (1, b"new")]
    assert len({each.delivery_id for _, each in transport.begun}) == 2


@run_virtually
async def test_what_a_cut_off_holder_says_later_is_ignored() -> None:
    """Its lease lapsed and the id was used again in the meantime."""
    store, other = WakingStore(), Probed(sleeping(0.1))

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(1)
        if envelope.message_id == "fails":
            raise ValueError

    transport = Probed(publish)
    async with delivering(store, transport, stuck_duration=SECOND * 3) as running:
        await running.schedule_many([message(id="fails"), message(id="works")])
        await asyncio.sleep(0.5)
        store.faults.append(down())
        await asyncio.sleep(4)
        async with delivering(store.inner, other) as beside:
            await until(lambda: len(other.ended) == 2)
            await beside.schedule(message(id="works", due=30, created_at=at(4)))
            await beside.schedule(message(id="fails", due=30, created_at=at(4)))
            await asyncio.sleep(1)
            store.faults.clear()
            await asyncio.sleep(10)
            left = await beside.list()
    assert [(each.id, each.retry_count, each.last_error) for each in left] == [
        ("fails", 0, None),
        ("works", 0, None),
    ]


@run_virtually
async def test_reschedule_moves_what_waits_and_nothing_else() -> None:
    store, transport = WakingStore(), Probed(sleeping(2))
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x", due=5))
        await running.reschedule("x", at(1))
        await asyncio.sleep(2)
        with pytest.raises(WrongState):
            await running.reschedule("x", at(10))
        await emptied(store)
        with pytest.raises(MessageNotFound):
            await running.reschedule("x", at(10))
    assert transport.times("x") == [1]


@run_virtually
async def test_rescheduled_it_may_be_retried_as_often_as_at_first() -> None:
    store, transport = WakingStore(), Probed(fail)
    async with delivering(store, transport) as running:
        await running.schedule(message(id="x"))
        await asyncio.sleep(5)
        assert (await running.get("x")).retry_count == 3
        await running.reschedule("x", at(60))
        waiting = await running.get("x")
        assert (waiting.retry_count, waiting.last_error) == (0, None)
        await asyncio.sleep(56)
        assert transport.times("x")[3] == 60
        await running.cancel("x")


@run_virtually
async def test_cancel_and_replace_at_random_moments_never_lie() -> None:
    """CANCELLED was never published; what was scheduled last is published, and once."""
    store, dice = WakingStore(), random.Random(6)
    transport = Probed(sleeping(0.02))
    cancelled: set[str] = set()
    latest: dict[str, str] = {}

    async def meddle(id: str) -> None:
        for number in range(30):
            await asyncio.sleep(dice.uniform(0, 0.1))
            if dice.random() < 0.4:
                held = latest.pop(id, None)
                if await running.cancel(id, missing_ok=True):
                    assert held is not None
                    cancelled.add(held)
            else:
                latest[id] = name = f"{id}-{number}"
                due = now() + dice.choice([0, 0.05])
                each = message(id=id, due=due, created_at=None, metadata={"name": name})
                await running.schedule(each, replace=True)

    async with delivering(store, transport, max_in_flight=4, batch_size=5) as running:
        await asyncio.gather(*(meddle(str(number)) for number in range(10)))
        await emptied(store)
    published = [each.metadata["name"] for _, each in transport.begun]
    assert not cancelled & {*published}
    assert len(published) == len({*published})
    assert {*latest.values()} <= {*published}
    assert cancelled
