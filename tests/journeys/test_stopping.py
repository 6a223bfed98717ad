"""Schedulers that are told to stop: what is in flight ends, the rest is put back, nothing twice."""

import asyncio
import random
import signal

import pytest
from tests.journeys.kit import Journey, batch, ids_of, slow

from duly import Envelope, Message, Scheduler, after


async def test_sigterm_while_publishing(journey: Journey) -> None:
    messages = slow(60, 0.3)
    await journey.client.schedule_many(messages)
    first = await journey.start(slots=10)
    await first.noted("begun", 15)
    await first.stop()
    begun = set(first.ids("begun"))
    assert set(first.ids("done")) == set(first.ids("settled")) == begun
    assert first.notes()[-1].what == "closed"
    stats = await journey.client.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (60 - len(begun), 0, 0)
    second = await journey.start()
    await journey.emptied()
    await second.stop()
    assert set(journey.count("done").values()) == {1}
    assert set(journey.count("done")) == ids_of(messages)
    assert {note.attempt for note in journey.notes("begun")} == {1}


async def test_a_second_signal_waits_for_no_publish(journey: Journey) -> None:
    await journey.client.schedule_many([*batch(5, "hang"), *batch(20, due=1)])
    first = await journey.start(slots=10)
    await first.noted("settled", 20)
    first.process.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.2)
    assert first.process.returncode is None  # it waits for what hangs
    await first.hurry()
    stats = await journey.client.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (5, 0, 0)
    assert {message.retry_count for message in await journey.client.list()} == {0}
    assert set(journey.count("begun").values()) == {1}


@pytest.mark.parametrize("times", [200, pytest.param(1000, marks=pytest.mark.slow)])
async def test_started_and_stopped_under_load(journey: Journey, times: int) -> None:
    chance = random.Random(1)
    delivered: list[str] = []
    attempts: set[int] = set()

    async def deliver(envelope: Envelope) -> None:
        await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01]))
        delivered.append(envelope.message_id)
        attempts.add(envelope.attempt)

    scheduled, enough = 0, False

    async def go_on_scheduling() -> None:
        nonlocal scheduled
        while not enough:
            await journey.client.schedule_many(
                Message("event", id=f"{scheduled + each}", scheduled_at=after(milliseconds=each))
                for each in range(5)
            )
            scheduled += 5
            await asyncio.sleep(0.005)

    load = asyncio.create_task(go_on_scheduling())
    async with Scheduler(f"sqlite:///{journey.path}", deliver, batch_size=10) as scheduler:
        for _ in range(times):
            async with scheduler.running():
                await asyncio.sleep(chance.choice([0, 0, 0.002, 0.005]))
        enough = True
        await load
        async with scheduler.running():
            await journey.emptied()
    assert sorted(map(int, delivered)) == list(range(scheduled))
    assert attempts == {1}
