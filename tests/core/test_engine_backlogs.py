"""An older backlog of slow, hanging or limited names keeps no other name from being delivered."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from tests.core.engine_kit import (
    MICROSECOND,
    Probed,
    WakingStore,
    at,
    delivering,
    message,
    now,
)

from duly import Envelope, Message
from duly.testing.clock import run_virtually

LONG = timedelta(hours=1)


def backlog(names: int, count: int, due: float) -> list[Message]:
    """That many older messages in all, of so many names by turns."""
    first = message(due=due).scheduled_at
    return [
        Message(f"slow-{number % names}", scheduled_at=first + MICROSECOND * number)
        for number in range(count)
    ]


async def lateness(transport: Probed, older: Sequence[Message], **options: object) -> list[float]:
    """Of 40 urgent messages in 20 s beside an older backlog, in seconds, sorted."""
    store = WakingStore()
    async with delivering(store, transport, publish_timeout=LONG, **options) as running:
        await running.schedule_many(older)
        begun = now()
        await running.schedule_many([message("urgent", begun + 0.5 * n) for n in range(40)])
        await asyncio.sleep(20 + begun - now())
        late = [
            (at(time) - envelope.scheduled_at).total_seconds()
            for time, envelope in transport.ended
            if envelope.event_name == "urgent"
        ]
        await running.stop(timedelta(0))
    return sorted(late)


@pytest.mark.parametrize("names", [1, 4, 100])
@pytest.mark.parametrize(("slots", "batch"), [(1000, 100), (40, 100), (40, 10)])
@run_virtually
async def test_urgent_messages_pass_an_older_backlog(names: int, slots: int, batch: int) -> None:
    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(0.001 if envelope.event_name == "urgent" else 0.5)

    older = backlog(names, 5000, now() - 60)
    late = await lateness(Probed(publish), older, max_in_flight=slots, batch_size=batch)
    assert len(late) == 40
    assert late[20] < 0.02
    assert late[-1] < 2  # the first of them, while it is found out who is slow


@pytest.mark.parametrize("names", [1, 4, 100])
@run_virtually
async def test_a_receiver_that_takes_ten_a_second_holds_up_nobody_else(names: int) -> None:
    free_at = 0.0

    async def publish(envelope: Envelope) -> None:
        nonlocal free_at
        if envelope.event_name != "urgent":
            free_at = max(free_at, now()) + 0.1
            await asyncio.sleep(free_at - now())

    late = await lateness(Probed(publish), backlog(names, 5000, now() - 60))
    assert len(late) == 40
    assert late[-1] <= 0.2  # the next slot that is free, and that is one every tenth of a second


@pytest.mark.parametrize("names", [1, 3])
@run_virtually
async def test_a_backlog_that_takes_minutes_to_look_past_is_looked_past(names: int) -> None:
    """What was sent back does not return sooner than claims get through all of it."""
    store, hanging = WakingStore(), asyncio.Event()

    async def slowly(verb: str, done: bool) -> None:
        if verb == "claim" and not done:
            await asyncio.sleep(0.5)

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name != "urgent":
            await hanging.wait()

    store.faults.append(slowly)
    transport = Probed(publish)
    async with delivering(
        store, transport, publish_timeout=LONG, max_in_flight=40, batch_size=10
    ) as running:
        await running.schedule_many(backlog(names, 1500, now() - 60))
        begun = now()
        await running.schedule_many([message("urgent", begun + 10 * n) for n in range(60)])
        await asyncio.sleep(600 + begun - now())
        late = {
            (envelope.scheduled_at - at(begun)).total_seconds(): (
                at(time) - envelope.scheduled_at
            ).total_seconds()
            for time, envelope in transport.ended
            if envelope.event_name == "urgent"
        }
        await running.stop(timedelta(0))
    assert len(late) >= 57, "all but what came just before the end"
    assert max(late.values()) < 120, "a pass takes about as long"
    assert max(late[due] for due in late if due > 300) < 30
