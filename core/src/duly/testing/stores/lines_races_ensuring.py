"""Series are ensured and declared while others move them aside and drain them."""

import asyncio

import pytest

from duly.message import State
from duly.store import PAUSED, Declared, Ensured, Store, SupportsEnsure
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.ensuring import wanted
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, drained
from duly.testing.stores.situations import HOUR


class LineEnsureRaceCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsEnsure` too."""

    async def test_ensure_against_moving(self, desk: Bench) -> None:
        """What stands there is found, wherever it is."""
        names, store = await self._due(desk)

        async def ensure() -> None:
            for turn in (b"two", b"three"):
                for id in names:
                    assert await store.ensure([wanted(desk, turn, id=id)]) == [Ensured.CHANGED]
                    await asyncio.sleep(0)

        await asyncio.gather(self._pause(desk), ensure(), self._pause(desk))
        assert await desk.counts() == (len(names), 0, 0)
        claims = await desk.claim_all()
        assert sorted(claim.message.id for claim in claims) == names
        assert {claim.message.payload for claim in claims} == {b"three"}

    async def test_undeclare_against_moving(self, desk: Bench) -> None:
        names, store = await self._due(desk)

        async def drop() -> list[tuple[str, State]]:
            gone: list[tuple[str, State]] = []
            for number in range(1, len(names) + 1):
                left = [wanted(desk, id=id) for id in names[number:]]
                declared = Declared("billing", 1 + number)
                await store.ensure(left, declared=declared)
                gone += await store.undeclare("billing", 1 + number)
            return gone

        _, gone, _ = await asyncio.gather(self._pause(desk), drop(), self._pause(desk))
        assert gone == [(id, State.SCHEDULED) for id in names]
        assert await desk.counts() == (0, 0, 0)
        assert await drained(desk) == []

    async def _due(self, desk: Bench) -> tuple[list[str], SupportsEnsure]:
        """Series that are declared and due; a store to ensure with."""
        if not isinstance(desk.store, SupportsEnsure):
            pytest.skip("it ensures no series")
        names = [f"m{number:02}" for number in range(self.many(25))]
        declared = Declared("billing", 1)
        await desk.store.ensure([wanted(desk, id=id) for id in names], declared=declared)
        await desk.pass_time(HOUR)
        other = await desk.another()
        assert isinstance(other, SupportsEnsure)
        return names, other

    async def _pause(self, desk: Bench) -> None:
        store: Store = await desk.another()
        for turn in range(self.many(20)):
            most = NOTHING if turn % 2 else {"event": PAUSED}
            assert ids(await desk.claim(1, by=store, most=most)) == []
            await asyncio.sleep(0)
