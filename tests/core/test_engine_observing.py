"""What observers are told: per batch, after the store agreed, and nothing they do harms."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    delivering,
    emptied,
    fail,
    message,
    messages,
    scheduler,
    sleeping,
)

from duly import Backoff, Bury, Delivery, Envelope, Failure, Message, State, hookimpl
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


@run_virtually
async def test_they_are_told_per_batch() -> None:
    store, witness = WakingStore(), Witness()
    await scheduler(store, fail).schedule_many(messages(300))
    async with delivering(store, Probed(), plugins=[witness], batch_size=100):
        await emptied(store)
    assert [len(batch) for batch in witness.claimed] == [100, 100, 100]
    assert [len(batch) for batch in witness.delivered] == [100, 100, 100]
    assert {each.state for batch in witness.claimed for each in batch} == {State.CLAIMED}


@run_virtually
async def test_they_are_told_after_the_store_agreed() -> None:
    store = WakingStore()
    seen: list[tuple[str, int, State | None]] = []

    class Looking:
        @hookimpl
        def duly_delivered(self, deliveries: Sequence[Delivery]) -> None:
            self.look("delivered", [each.message for each in deliveries])

        @hookimpl
        def duly_failed(self, failures: Sequence[Failure]) -> None:
            self.look("failed", [each.message for each in failures])

        def look(self, what: str, some: Sequence[Message]) -> None:
            for each in some:
                entry = store.inner._ledger.shelf.entries.get(each.id)  # type: ignore[attr-defined]  # a memory store
                seen.append((what, each.retry_count, entry and entry.message.state))

    async def publish(envelope: Envelope) -> None:
        if envelope.event_name == "bad":
            raise ValueError

    options: dict[str, Any] = {"plugins": [Looking()], "recovery": Backoff(max_retries=1)}
    async with delivering(store, publish, **options) as running:
        await running.schedule_many([message("good"), message("bad")])
        await emptied(store)
    assert sorted(seen, key=str) == [
        ("delivered", 0, None),
        ("failed", 0, State.SCHEDULED),
        ("failed", 1, State.DEAD),
    ]


@run_virtually
async def test_of_a_lease_that_was_lost_nothing_is_told() -> None:
    store, witness = WakingStore(), Witness()

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(0.1)
        if envelope.event_name == "bad":
            raise ValueError

    async def lapse(verb: str, done: bool) -> None:
        if verb == "claim" and not done and transport.ended and not done:
            store.faults.clear()
            await asyncio.sleep(4)

    store.faults.append(lapse)
    transport = Probed(publish)
    options: dict[str, Any] = {"plugins": [witness], "stuck_duration": SECOND * 3}
    options["recovery"] = lambda failure: Bury("x") if failure.error else None
    async with delivering(store, transport, **options) as running:
        running._engine.leases._lease = timedelta(0)  # type: ignore[union-attr]  # renews to no avail
        await running.schedule_many([message("good"), message("bad", due=1e-6)])
        await emptied(store)
    assert len(transport.begun) > 2
    assert len([each for batch in witness.delivered for each in batch]) == 1
    assert len([each for batch in witness.failed for each in batch]) == 1


@run_virtually
async def test_observers_that_raise_harm_nobody() -> None:
    store, witness = WakingStore(), Witness()

    class Raising:
        @hookimpl
        def duly_claimed(self, messages: Sequence[Message]) -> None:
            raise ValueError("claimed")

        @hookimpl
        def duly_delivered(self, deliveries: Sequence[Delivery]) -> None:
            raise ValueError("delivered")

        @hookimpl
        def duly_failed(self, failures: Sequence[Failure]) -> None:
            raise ValueError("failed")

        @hookimpl
        def duly_started(self) -> None:
            raise ValueError("started")

        @hookimpl
        def duly_stopped(self) -> None:
            raise ValueError("stopped")

        @hookimpl
        def duly_scheduled(self) -> None:
            raise ValueError("scheduled")

    async def publish(envelope: Envelope) -> None:
        if envelope.attempt == 1:
            raise ValueError

    plugins = [Raising(), witness, Raising()]
    async with delivering(store, publish, plugins=plugins) as running:
        await running.schedule_many(messages(10))
        await emptied(store)
    assert len([each for batch in witness.delivered for each in batch]) == 10
    assert len([each for batch in witness.failed for each in batch]) == 10
    assert sum(map(len, witness.claimed)) == 20


@run_virtually
async def test_what_is_released_is_neither_delivered_nor_failed() -> None:
    store, witness = WakingStore(), Witness()
    running = scheduler(store, sleeping(100), plugins=[witness])
    start = asyncio.create_task(running.start())
    await running.schedule(message())
    await asyncio.sleep(1)
    await running.stop(timedelta(0))
    await start
    assert sum(map(len, witness.claimed)) == 1
    assert not witness.delivered
    assert not witness.failed


@run_virtually
async def test_what_was_cancelled_in_flight_is_still_told_as_delivered() -> None:
    """It was published: whoever counts publishes wants to know."""
    store, witness = WakingStore(), Witness()
    async with delivering(store, sleeping(1), plugins=[witness]) as running:
        await running.schedule(message(id="x"))
        await asyncio.sleep(0.5)
        assert not await running.cancel("x")
        await asyncio.sleep(1)
    assert [each.message.id for each in witness.delivered[0]] == ["x"]
