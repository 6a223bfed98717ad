"""A store wakes those who wait only when something has changed."""

import asyncio

import pytest

from duly.store import Store, SupportsWakeups
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR

_TRIES = 50
_QUIET = 0.05
"""Seconds without a wake-up, after which it is quiet."""


class Waking(StoreHarness):
    """How to wait until nobody is woken any more."""

    def _waker(self, store: Store) -> SupportsWakeups:
        assert isinstance(store, SupportsWakeups)
        return store

    async def _settled(self, waker: SupportsWakeups) -> None:
        """Wait until it is quiet."""
        for _ in range(_TRIES):
            if await self._quiet_now(waker):
                return
        pytest.fail("wait_for_change returns all the time although nothing changes")

    async def _quiet_now(self, waker: SupportsWakeups) -> bool:
        try:
            async with asyncio.timeout(_QUIET):
                await waker.wait_for_change()
        except TimeoutError:
            return True
        return False


class QuietCases(Waking):
    """A wait for a change lasts as long as there is none.

    It is enough that one of several does: a wait may return too often, but not for ever.
    """

    async def test_nobody_is_woken_while_nothing_changes(self, desk: Bench) -> None:
        await desk.put("a", after=HOUR)
        await self._settled(self._waker(await desk.another()))

    async def test_claims_that_bring_nothing_wake_nobody(self, desk: Bench) -> None:
        """Otherwise a scheduler that claims when it is woken would be woken by its own claim."""
        await desk.put("a", after=HOUR)
        store = await desk.another()
        waker = self._waker(store)
        await self._settled(waker)
        for by in (store, desk.store):
            for _ in range(_TRIES):
                assert not (await desk.claim(by=by)).claims
                if await self._quiet_now(waker):
                    break
            else:
                pytest.fail("every claim that brings nothing wakes those who wait")
