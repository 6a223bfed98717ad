"""A store that is away when a scheduler starts: who waits for it, and how the waiting ends."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    delivering,
    down,
    emptied,
    hanging,
    logged,
    message,
    now,
    scheduler,
)

from duly import (
    Client,
    InvalidArgument,
    Scheduler,
    SchedulerStateError,
    Status,
    StoreError,
    StoreUnavailable,
    hookimpl,
)
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)


class Told:
    """A plugin that notes when schedulers start and stop."""

    def __init__(self) -> None:
        self.started: list[float] = []
        self.stopped: list[float] = []

    @hookimpl
    def duly_started(self, scheduler: Scheduler) -> None:
        self.started.append(now())

    @hookimpl
    def duly_stopped(self, scheduler: Scheduler) -> None:
        self.stopped.append(now())


@contextlib.asynccontextmanager
async def started(waiting: Scheduler) -> AsyncIterator[None]:
    run = asyncio.create_task(waiting.start())
    yield
    await waiting.stop()
    await run


@contextlib.asynccontextmanager
async def run_by(waiting: Scheduler) -> AsyncIterator[None]:
    """As run() does it."""
    run = asyncio.create_task(waiting._main())
    yield
    await waiting.stop()
    await run


def away(store: WakingStore, until: float, fault: Callable[[], Any] = down) -> None:
    store.faults.append(fault())
    asyncio.get_running_loop().call_at(until, store.faults.clear)


@pytest.mark.parametrize("way", [started, run_by, Scheduler.running, contextlib.nullcontext])
@pytest.mark.parametrize("fault", [down, hanging])
@run_virtually
async def test_it_is_waited_for(
    way: Callable[[Scheduler], Any], fault: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="duly")
    store, transport, told = WakingStore(), Probed(), Told()
    waiting = scheduler(store, transport, plugins=[told])
    away(store, 30, fault)
    if way is contextlib.nullcontext:
        async with waiting:
            assert 30 <= now() <= 35
        way = Scheduler.running
    async with way(waiting):
        await asyncio.sleep(41 - now())
        await waiting.schedule(message(id="x", due=41))
        await emptied(store)
        assert transport.ids == ["x"]
        assert len(told.started) == 1
        assert 30 <= told.started[0] <= 41
        assert not told.stopped
        assert logged(caplog) == ["store_unavailable", "store_back"]
    assert len(told.stopped) == 1


@run_virtually
async def test_pauses_grow_meanwhile() -> None:
    store = WakingStore()
    away(store, 60)
    async with delivering(store, Probed()):
        times = [time for time, verb in store.calls if verb == "open"]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert gaps[:6] == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6], abs=1e-3)
    assert max(gaps) == pytest.approx(5, abs=1e-3)


@run_virtually
async def test_open_tells_at_once_and_so_do_all_other_calls() -> None:
    store = WakingStore()
    store.faults.append(down())
    waiting = scheduler(store, Probed())
    for call in (waiting.open, waiting.stats, lambda: waiting.schedule(message())):
        with pytest.raises(StoreUnavailable):
            await call()
    with pytest.raises(StoreUnavailable):
        async with Client(store, load_plugins=False):
            raise AssertionError("a client waits for nothing")
    assert now() == 0


@run_virtually
async def test_health_tells_while_it_waits_and_calls_are_refused() -> None:
    store = WakingStore()
    away(store, 30)
    waiting = scheduler(store, Probed())
    async with started(waiting):
        for _ in range(20):
            await asyncio.sleep(1)
            health = await waiting.health()
            assert health.status is Status.UNHEALTHY
            assert health.reason == "the store is unreachable: StoreUnavailable: nobody answers"
            with pytest.raises(StoreUnavailable):
                await waiting.schedule(message())
            with pytest.raises(SchedulerStateError, match="runs already"):
                await waiting.start()
        await asyncio.sleep(15)
        assert (await waiting.health()).status is not Status.UNHEALTHY


@pytest.mark.parametrize("fault", [down, hanging])
@pytest.mark.parametrize("way", [started, run_by])
@run_virtually
async def test_stop_ends_the_waiting(
    way: Callable[[Scheduler], Any], fault: Callable[[], Any]
) -> None:
    store, transport, told = WakingStore(), Probed(), Told()
    waiting = scheduler(store, transport, plugins=[told])
    store.faults.append(fault())
    async with way(waiting):
        await asyncio.sleep(3.3)
    assert now() == pytest.approx(3.3)
    assert not told.started
    assert not told.stopped
    assert not transport.opened
    store.faults.clear()
    async with waiting.running():
        await waiting.schedule(message())
        await emptied(store)


@run_virtually
async def test_stopped_meanwhile_a_block_begins_without_deliveries() -> None:
    store, transport = WakingStore(), Probed()
    store.faults.append(down())
    waiting = scheduler(store, transport)

    async def stop() -> None:
        await asyncio.sleep(10)
        await waiting.stop()

    stopping = asyncio.create_task(stop())
    async with waiting.running():
        assert now() == 10
        assert not transport.opened
    await stopping


@pytest.mark.parametrize("fault", [down, hanging])
@run_virtually
async def test_cancelling_ends_the_waiting(fault: Callable[[], Any]) -> None:
    store = WakingStore()
    store.faults.append(fault())
    waiting = scheduler(store, Probed())
    for enter in (waiting.start, waiting.running().__aenter__, waiting.__aenter__, waiting._main):
        begun = now()
        task = asyncio.ensure_future(enter())  # type: ignore[arg-type]  # coroutines all of them
        await asyncio.sleep(3.3)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert now() == pytest.approx(begun + 3.3)
        assert waiting._run is None
    store.faults.clear()
    async with waiting.running():
        await waiting.schedule(message())
        await emptied(store)


@run_virtually
async def test_closed_meanwhile_it_is_not_opened_after_all() -> None:
    store = WakingStore()
    away(store, 10)
    waiting = scheduler(store, Probed())
    opening = asyncio.create_task(waiting.__aenter__())
    await asyncio.sleep(5)
    await waiting.close()
    with pytest.raises(SchedulerStateError, match="closed"):
        await opening


@pytest.mark.parametrize("error", [StoreError("wrong password"), OSError("bare")])
@run_virtually
async def test_a_store_that_refuses_is_an_error_at_once(error: Exception) -> None:
    store, transport, told = WakingStore(), Probed(), Told()
    waiting = scheduler(store, transport, plugins=[told])
    store.faults.append(down("open", error=error))
    for enter in (waiting.start, waiting.running().__aenter__, waiting.__aenter__, waiting._main):
        with pytest.raises(type(error), match=str(error)):
            await enter()
    assert now() == 0
    assert not transport.opened
    assert not told.started


@run_virtually
async def test_one_that_refuses_after_a_while_is_an_error_then() -> None:
    store = WakingStore()
    waiting = scheduler(store, Probed())
    away(store, 10)
    asyncio.get_running_loop().call_at(
        10.01, lambda: store.faults.append(down(error=StoreError("another schema")))
    )
    with pytest.raises(StoreError, match="another schema"):
        await waiting.start()
    assert now() < 15


@run_virtually
async def test_whether_to_wait_is_yes_or_no() -> None:
    with pytest.raises(InvalidArgument, match="wait_for_store"):
        scheduler(WakingStore(), Probed(), wait_for_store="yes")
