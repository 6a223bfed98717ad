"""Cases for what a store may be able to do beyond its contract."""

import asyncio

import pytest

from duly.message import State
from duly.store import (
    Bury,
    Release,
    Store,
    SupportsPeeking,
)
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.quiet import QuietCases
from duly.testing.stores.situations import HOUR, retry

PATIENCE = 10
"""Seconds within which a wake-up must come."""

CHANGES = ["put", "replaced", "moved", "released", "put back", "replayed"]


async def change(bench: Bench, how: str) -> None:
    """Store or move a message so that something is due earlier than expected."""
    if how in ("put", "replaced"):
        await bench.put("a", replace=how == "replaced")
    elif how == "moved":
        await bench.store.reschedule("a", bench.start, of_state=State.SCHEDULED)
    elif how == "replayed":
        await bench.store.reschedule("dead", None, of_state=State.DEAD)
    else:
        batch = await bench.claim()
        (message,) = [claim.message for claim in batch.claims]
        outcome = retry(message) if how == "put back" else Release(bench.start)
        assert await bench.settle(batch, {message.id: outcome})


async def prepare(bench: Bench, how: str) -> None:
    """Store what must be there before the change."""
    if how == "replayed":
        await bench.put("dead")
        assert await bench.settle(await bench.claim(), {"dead": Bury("broken")})
    elif how != "put":
        await bench.put("a", after=-HOUR if how in ("released", "put back") else HOUR)


class WakeupCases(QuietCases):
    """For stores that are :class:`~duly.store.SupportsWakeups`."""

    @pytest.mark.parametrize("how", CHANGES)
    async def test_a_change_elsewhere_wakes(self, desk: Bench, how: str) -> None:
        waker = self._waker(await desk.another())
        await prepare(desk, how)
        await self._settled(waker)
        later = asyncio.create_task(self._later(desk, how))
        async with asyncio.timeout(PATIENCE):
            await waker.wait_for_change()
        await later

    @pytest.mark.parametrize("how", CHANGES)
    async def test_a_change_between_two_calls_is_not_missed(self, desk: Bench, how: str) -> None:
        waker = self._waker(await desk.another())
        await prepare(desk, how)
        await self._settled(waker)
        await change(desk, how)
        async with asyncio.timeout(PATIENCE):
            await waker.wait_for_change()

    async def test_every_waiting_store_is_woken(self, desk: Bench) -> None:
        everybody = asyncio.Barrier(5)

        async def wait() -> None:
            waker = self._waker(await desk.another())
            await self._settled(waker)
            await everybody.wait()
            async with asyncio.timeout(PATIENCE):
                await waker.wait_for_change()

        tasks = [asyncio.create_task(wait()) for _ in range(4)]
        await everybody.wait()
        await change(desk, "put")
        await asyncio.gather(*tasks)

    async def test_all_who_wait_at_one_store_are_woken(self, desk: Bench) -> None:
        waker = self._waker(await desk.another())
        await self._settled(waker)
        tasks = [asyncio.create_task(waker.wait_for_change()) for _ in range(3)]
        await asyncio.sleep(0.02)
        await change(desk, "put")
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)

    async def _later(self, bench: Bench, how: str) -> None:
        await asyncio.sleep(0.02)
        await change(bench, how)


class PeekingCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsPeeking`."""

    async def _quiet(self, store: Store) -> SupportsPeeking:
        assert isinstance(store, SupportsPeeking)
        for _ in range(10):
            if not await store.changed():
                return store
        pytest.fail("changed() is True again and again although nothing changes")

    @pytest.mark.parametrize("how", CHANGES)
    async def test_a_change_elsewhere_is_seen(self, desk: Bench, how: str) -> None:
        store = await desk.another()
        await prepare(desk, how)
        peeking = await self._quiet(store)
        await change(desk, how)
        assert await peeking.changed()
        await self._quiet(store)
