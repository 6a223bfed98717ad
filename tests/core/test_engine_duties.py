"""Background duties restart themselves, and health tells how a scheduler is doing."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    at,
    delivering,
    emptied,
    fail,
    message,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import Health, Status, TransportUnavailable
from duly.memory import MemoryStore
from duly.message import Filter, Message
from duly.record import unreadable
from duly.store import Batch
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


class Deaf(WakingStore):
    """Its wake-ups fail a few times."""

    def __init__(self, *errors: BaseException) -> None:
        super().__init__()
        self.errors = list(errors)

    async def wait_for_change(self) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().wait_for_change()


@pytest.mark.parametrize("error", [ValueError("odd"), asyncio.CancelledError()])
@run_virtually
async def test_waking_starts_again_when_it_fails(error: BaseException) -> None:
    store, transport = Deaf(*[error] * 3), Probed()
    async with delivering(store, transport) as running:
        await asyncio.sleep(1)
        assert not store.errors
        assert running._engine is not None
        assert running._engine.dead_duties() == []
        async with scheduler(store, transport) as other:
            await other.schedule(message(due=1))
        await until(lambda: transport.ended, within=0.02)


@run_virtually
async def test_the_ticker_starts_again_when_it_fails() -> None:
    store, transport = WakingStore(), Probed(sleeping(100))
    async with delivering(store, transport, publish_timeout=SECOND) as running:
        assert running._engine is not None
        workers = running._engine.workers
        tick, failures = workers.tick, 3

        def failing() -> None:
            nonlocal failures
            failures -= 1
            if failures >= 0:
                raise ZeroDivisionError
            tick()

        workers.tick = failing  # type: ignore[method-assign]  # to see it fail
        await running.schedule(message(id="x"))
        await asyncio.sleep(1.7)
        assert (await running.get("x")).retry_count == 1
        assert transport.running == 0
        await running.cancel("x")


@run_virtually
async def test_renewing_starts_again_when_it_fails_in_a_way_of_its_own() -> None:
    store, transport, other = WakingStore(), Probed(sleeping(20)), Probed()
    async with delivering(store, transport, stuck_duration=SECOND * 3) as running:
        assert running._engine is not None
        leases = running._engine.leases
        resume, failures = leases._resume, 1

        def failing(reason: str) -> None:
            nonlocal failures
            failures -= 1
            if failures == 0:
                raise ZeroDivisionError
            resume(reason)

        leases._resume = failing
        await running.schedule(message())
        await asyncio.sleep(0.1)
        async with delivering(store, other):
            await emptied(store)
    assert len(transport.begun) == 1
    assert not other.begun


# --- health; its clock is this host's, for it tells when that is off


def by_the_clock(offset: float = 0.0) -> WakingStore:
    loop = asyncio.get_running_loop()
    store, start = WakingStore(), datetime.now(UTC) + timedelta(seconds=offset)
    store.inner = MemoryStore(clock=lambda: start + timedelta(seconds=loop.time()))
    return store


async def healthy(health: Callable[[], Awaitable[Health]]) -> bool:
    found = await health()
    return found.status is Status.HEALTHY and found.reason == "all is well"


@run_virtually
async def test_all_is_well() -> None:
    running = scheduler(by_the_clock(), fail)
    assert await healthy(running.health)
    assert not (await running.health()).details["running"]
    async with running.running():
        await running.schedule(Message("x", scheduled_at=datetime.now(UTC) + SECOND * 100))
        await asyncio.sleep(0.5)
        assert await healthy(running.health)
        details = (await running.health()).details
        assert (details["scheduled"], details["claimed"], details["dead"]) == (1, 0, 0)
        assert details["running"]
        assert abs(details["clock_offset"]) < SECOND


@run_virtually
async def test_a_duty_that_is_dead_is_unhealthy() -> None:
    async with delivering(by_the_clock(), fail) as running:
        assert running._engine is not None
        task = running._engine._duties["duly-renew"]
        task.cancel()
        await asyncio.wait([task])
        health = await running.health()
        assert health.status is Status.UNHEALTHY
        assert health.reason == "duly-renew has ended"


@run_virtually
async def test_an_outage_of_the_transport_is_degraded() -> None:
    async def publish(envelope: Any) -> None:
        raise TransportUnavailable("gone")

    async with delivering(by_the_clock(), publish) as running:
        await running.schedule(Message("x", scheduled_at=datetime.now(UTC)))
        await asyncio.sleep(1)
        health = await running.health()
        assert health.status is Status.DEGRADED
        assert health.reason == "the transport is unavailable: TransportUnavailable: gone"


@run_virtually
async def test_messages_over_a_minute_late_are_degraded() -> None:
    client = scheduler(by_the_clock(), fail)
    await client.schedule(Message("x", scheduled_at=datetime.now(UTC) - SECOND * 59))
    assert await healthy(client.health)
    await client.schedule(Message("x", scheduled_at=datetime.now(UTC) - SECOND * 61))
    health = await client.health()
    assert health.status is Status.DEGRADED
    assert health.reason == "the oldest due message is 61 s late"


@pytest.mark.parametrize("offset", [-3.0, 3.0])
@run_virtually
async def test_a_clock_that_is_off_is_degraded(offset: float) -> None:
    async with delivering(by_the_clock(offset), fail) as running:
        await asyncio.sleep(0.1)
        health = await running.health()
        assert health.status is Status.DEGRADED
        assert "s off the store's" in health.reason


@run_virtually
async def test_what_store_and_transport_know_of_themselves_is_degraded() -> None:
    class Unsafe(WakingStore):
        async def check(self) -> Sequence[str]:
            return ["its data may be lost"]

    class Picky(Probed):
        async def check(self) -> Sequence[str]:
            return ["its certificate runs out"]

    class Failing(Probed):
        async def check(self) -> Sequence[str]:
            raise ValueError("?")

    store = Unsafe()
    store.inner = by_the_clock().inner
    async with delivering(store, Picky()) as running:
        await asyncio.sleep(0.1)
        health = await running.health()
        assert health.status is Status.DEGRADED
        assert health.reason == "its data may be lost; its certificate runs out"
    async with delivering(by_the_clock(), Failing()) as running:
        await asyncio.sleep(0.1)
        health = await running.health()
        assert health.reason == "the transport's check failed: ValueError: ?"


class Newer(WakingStore):
    """Finds a record of a newer format, or one that cannot be read, in each claim."""

    def __init__(self, **found: Any) -> None:
        super().__init__()
        self.inner = by_the_clock().inner
        self.found = found

    async def claim(self, **more: Any) -> Batch:
        import attrs

        return attrs.evolve(await super().claim(**more), **self.found)


@run_virtually
async def test_newer_records_are_told_and_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    store, transport = Newer(newer=3), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(Message("x", scheduled_at=datetime.now(UTC) - SECOND))
        await asyncio.sleep(0.1)
        health = await running.health()
        assert health.status is Status.DEGRADED
        assert health.reason == "records of a newer format are waiting: upgrade this host"
        store.found = {}
        await asyncio.sleep(601)
        assert "newer" not in (await running.health()).reason
    assert len(transport.ended) == 1
    assert "records_newer count=3" in caplog.text


@run_virtually
async def test_the_rest_of_a_batch_with_an_unreadable_record_flows(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store, transport = Newer(unreadable=[unreadable("u", b"?", "damaged")]), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(Message("x", scheduled_at=datetime.now(UTC) - SECOND))
        await emptied(store)
        assert await running.list(Filter()) == []
    assert len(transport.ended) == 1
    assert "record_unreadable message_id=u reason=damaged" in caplog.text


@run_virtually
async def test_the_store_tells_the_time_between_its_answers() -> None:
    store = WakingStore()
    async with delivering(store, fail) as running:
        await asyncio.sleep(3.5)
        assert running._now() == at(now())
        assert running._engine is not None
        time = running._engine.deliveries.time
        assert time.seconds_until(at(10)) == pytest.approx(6.5)
        assert time.seconds_until(at(3)) == pytest.approx(-0.5)
    assert abs(running._now() - datetime.now(UTC)) < SECOND
