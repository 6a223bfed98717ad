"""Isolation between event names: one that hangs does not delay the others."""

import asyncio
from datetime import timedelta

import pytest
from tests.core.engine_kit import (
    ManyProbed,
    Probed,
    WakingStore,
    Witness,
    at,
    delivering,
    emptied,
    message,
    messages,
    now,
    sleeping,
)

from duly import Envelope, Filter, State
from duly.store import Release
from duly.testing.clock import run_virtually

LONG = timedelta(hours=1)


async def lateness_of_others(kind: type[Probed], older: int) -> list[float]:
    """Sorted, in seconds, of 500 messages in ten seconds, each published in 5 ms."""
    store, begun = WakingStore(), now()

    async def round_trip(verb: str, done: bool) -> None:
        await asyncio.sleep(0.0005)

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(1e6 if envelope.event_name == "hangs" else 0.005)

    transport = kind(publish)
    options = {"publish_timeout": LONG, "max_in_flight": 100}
    store.faults.append(round_trip)
    async with delivering(store, transport, **options) as running:
        if older:
            await running.schedule_many(messages(older, "hangs", begun - 60))
        others = [message("fast", begun + 1 + number * 0.02) for number in range(500)]
        await running.schedule_many(others)
        ended: dict[str, timedelta] = {}
        async with asyncio.timeout(60):
            while len(ended) < len(others):
                await asyncio.sleep(0.1)
                ended = {
                    envelope.message_id: at(time) - envelope.scheduled_at
                    for time, envelope in transport.ended
                    if envelope.event_name == "fast"
                }
        assert sum(each.event_name == "hangs" for _, each in transport.begun) <= 25
        await running.stop(timedelta(0))
    return sorted(each.total_seconds() for each in ended.values())


@pytest.mark.parametrize("kind", [Probed, ManyProbed])
@run_virtually
async def test_5000_older_messages_of_a_name_that_hangs_do_not_delay_the_others(
    kind: type[Probed],
) -> None:
    alone = await lateness_of_others(kind, 0)
    beside = await lateness_of_others(kind, 5000)
    assert beside[494] <= 2 * alone[494]
    assert beside[-1] < 1


@run_virtually
async def test_a_name_alone_may_use_all_slots_as_its_publishes_end() -> None:
    store, transport = WakingStore(), Probed(sleeping(0.05))
    async with delivering(store, transport, max_in_flight=40) as running:
        await running.schedule_many(messages(1000))
        await emptied(store)
    assert transport.most == 40
    # Twenty-five rounds at best; some are lost to the beginning, when it has but a quarter.
    assert transport.ended[-1][0] < 2 * 1000 / 40 * 0.05


@run_virtually
async def test_what_finds_no_slot_is_released_uncounted_and_delivered_later() -> None:
    store, witness = WakingStore(), Witness()
    free = asyncio.Event()

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "stuck":
            await free.wait()

    transport = Probed(publish)
    options = {"max_in_flight": 8, "publish_timeout": LONG, "plugins": [witness]}
    async with delivering(store, transport, **options) as running:
        await running.schedule_many(messages(500, "stuck"))
        await asyncio.sleep(5)
        assert transport.running == 2
        assert {each.retry_count for each in await running.list()} == {0}
        released = [s for _, each in store.settles for s in each.exceptions.values()]
        assert len(released) > 400
        assert all(isinstance(each, Release) for each in released)
        assert len(await running.list(Filter(state=State.CLAIMED))) <= 100
        free.set()
        await emptied(store)
    assert not witness.failed
    assert sorted(transport.ids) == sorted(f"stuck-{number}" for number in range(500))
    assert {envelope.attempt for _, envelope in transport.begun} == {1}
