"""Where a message is while others claim it and put it back: of one moment, whatever they do."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from duly.message import State
from duly.store import Release, Store, SupportsWhere, Whereabouts
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness


class WhereBesideCases(StoreHarness):
    """For stores that are asked by one object and work for another."""

    async def test_where_one_is_is_told_of_one_moment(self, desk: Bench) -> None:
        """It waits and nobody has it, or it is claimed and somebody has: never half of each."""
        await desk.put("a")
        other = await desk.another()
        found = await _seen_beside(desk, self._claim_and_put_back(desk, other))
        assert found
        for each in found:
            waits = each.state is State.SCHEDULED
            assert each.state is not State.DEAD
            assert (each.due_at is not None) == waits, each
            assert (each.owner is None) == waits, each
            assert (each.lease_ends_at is None) == waits, each

    async def _claim_and_put_back(self, desk: Bench, other: Store) -> None:
        for _ in range(self.many(100)):
            batch = await desk.claim(by=other)
            assert await desk.settle(batch, {"a": Release(desk.start)}, by=other)

    async def test_a_settled_one_is_in_nobodys_hands(self, desk: Bench) -> None:
        """Whoever asks once the holder has its answer hears of the holder no more."""
        other = await desk.another()
        asked = desk.store
        assert isinstance(asked, SupportsWhere)
        for number in range(self.many(20)):
            await desk.put(f"m{number}")
            batch = await desk.claim(by=other)
            asking = asyncio.ensure_future(asked.where(f"m{number}"))
            assert await desk.settle(batch, by=other)
            assert await asked.where(f"m{number}") is None
            seen = await asking
            assert seen is None or (seen.state, seen.owner) == (State.CLAIMED, "host:1:case")


async def _seen_beside(desk: Bench, work: Coroutine[Any, Any, None]) -> Sequence[Whereabouts]:
    """What is told of "a", again and again, until the work is done."""
    assert isinstance(desk.store, SupportsWhere)
    found: list[Whereabouts] = []
    working = asyncio.ensure_future(work)
    try:
        while not working.done():
            seen = await desk.store.where("a")
            assert seen is not None
            found.append(seen)
            await asyncio.sleep(0)  # a store may answer without a pause
    finally:
        await working
    return found
