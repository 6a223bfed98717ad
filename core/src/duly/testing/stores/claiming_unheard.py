"""Claims whose caller gives up before the answer is there, or just as it comes."""

import asyncio
import time
from contextlib import suppress

import pytest

from duly.store import Batch
from duly.testing.stores.bench import LEASE, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR

__all__ = ["UnheardCases"]

_PATIENCE = 5.0  # seconds within which what nobody holds must be due again


class UnheardCases(StoreHarness):
    """What was claimed by a call whose answer nobody got is due again before its lease lapses."""

    @pytest.mark.parametrize("steps", [0, 2, 5])
    async def test_unheard_a_claim_that_is_answered_while_nobody_looks(
        self, desk: Bench, steps: int
    ) -> None:
        """The loop is busy while the answer comes; afterwards the call has run out of time."""
        await desk.put(*"abc", after=-HOUR)
        claiming = asyncio.create_task(self._claim(desk))
        for _ in range(steps):
            await asyncio.sleep(0)
        time.sleep(0.05 * self.patience)  # noqa: ASYNC251  # that is the point
        await self._is_free_again(desk, claiming)

    @pytest.mark.parametrize("delay", [0.0, 0.001, 0.003])
    async def test_unheard_a_claim_whose_caller_goes(self, desk: Bench, delay: float) -> None:
        await desk.put(*"abc", after=-HOUR)
        claiming = asyncio.create_task(self._claim(desk))
        await asyncio.sleep(delay)
        await self._is_free_again(desk, claiming)

    async def _claim(self, desk: Bench) -> Batch:
        return await desk.store.claim(limit=10, lease=LEASE, owner="host:1:case")

    async def _is_free_again(self, desk: Bench, claiming: "asyncio.Task[Batch]") -> None:
        claiming.cancel()
        with suppress(asyncio.CancelledError):
            assert ids(await claiming) == [*"abc"], "answered before its caller gave up"
            return
        found: list[str] = []
        end = asyncio.get_running_loop().time() + _PATIENCE * self.patience
        while sorted(found) != [*"abc"]:
            assert asyncio.get_running_loop().time() < end, f"only {found} are due again"
            batch = await desk.claim()
            assert all(claim.lapses == 0 for claim in batch.claims), "must count no lapse"
            found += ids(batch)
            await asyncio.sleep(0.005)
