"""``ensure`` wakes schedulers that sleep, where a store can wake them."""

import asyncio

import pytest

from duly.recurrence import Every
from duly.store import SupportsWakeups
from duly.testing.stores.abilities import PATIENCE
from duly.testing.stores.bench import Bench
from duly.testing.stores.ensuring import begun, ensure, following, wanted
from duly.testing.stores.quiet import Waking
from duly.testing.stores.situations import MINUTE, SECOND

SOON = Every(SECOND)


class EnsureWakingCases(Waking):
    """A fire comes sooner than those who sleep have been told."""

    @pytest.mark.parametrize("how", ["stored", "changed", "followed"])
    async def test_a_fire_that_comes_sooner_wakes(self, desk: Bench, how: str) -> None:
        store = await desk.another()
        if not isinstance(store, SupportsWakeups):
            pytest.skip("the store cannot wake anybody")
        batch = await begun(desk, "in flight") if how == "followed" else None
        if batch is not None:
            await ensure(desk, wanted(desk, recurrence=SOON))
        elif how == "changed":
            await ensure(desk, wanted(desk, recurrence=Every(MINUTE)))
        await self._settled(store)
        if batch is None:
            await ensure(desk, wanted(desk, recurrence=SOON))
        else:
            await desk.settle(batch, {"a": following(batch.claims[0].message)})
        async with asyncio.timeout(PATIENCE):
            await store.wait_for_change()
