"""The server goes away while leases are taken over."""

import pytest

from duly.errors import StoreUnavailable
from duly.testing.stores.bench import Bench
from duly.testing.stores.outages import OutageHarness
from duly.testing.stores.takeover import DEAD, back, taken


class TakeoverOutageCases(OutageHarness):
    """While it is away StoreUnavailable is raised; again is safe."""

    async def test_away_when_leases_are_taken_over(self, desk: Bench) -> None:
        self.needs("outage", "no_outages")
        await desk.put("a", "b")
        await desk.claim(owner=DEAD)
        async with self.outage(desk.namespace):
            error = await self._error_of(taken(desk.store))
            assert isinstance(error, StoreUnavailable)
        await self._again(lambda: taken(desk.store))
        assert back(await desk.claim()) == [("a", 1), ("b", 1)]

    @pytest.mark.parametrize("turns", [0, 1, 2, 4, 8, 16, 32])
    async def test_it_goes_while_leases_are_taken_over(self, desk: Bench, turns: int) -> None:
        self.needs("outage", "no_outages")
        await desk.put("a", "b")
        await desk.claim(owner=DEAD)
        trouble = self.outage(desk.namespace)
        await self._amid(trouble, taken(desk.store), turns, self.outage_patience)
        await self._again(lambda: taken(desk.store))
        assert back(await desk.claim()) == [("a", 1), ("b", 1)]
