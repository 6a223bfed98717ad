"""Cases for stores that may be called on any event loop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from duly.message import State
from duly.store import Group, SupportsAnyLoop, SupportsWakeups
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR

T = TypeVar("T")

_PATIENCE = 10  # seconds


class AnyLoopCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsAnyLoop`."""

    async def test_it_says_so(self, desk: Bench) -> None:
        assert isinstance(desk.store, SupportsAnyLoop)
        assert desk.store.any_loop is True

    async def test_two_loops_at_a_time(self, desk: Bench) -> None:
        await asyncio.gather(
            *(_elsewhere(self._live(desk, f"there {number}")) for number in range(2)),
            *(self._live(desk, f"here {number}") for number in range(2)),
        )
        assert await desk.counts() == (0, 0, 0)

    async def test_opened_in_one_and_used_in_another(self, desk: Bench) -> None:
        store = await desk.unopened()
        await _elsewhere(store.open())
        await desk.put("a")
        assert await store.get("a") is not None
        assert ids(await desk.claim(by=store)) == ["a"]
        await _elsewhere(store.close())

    async def test_woken_by_what_comes_from_another(self, desk: Bench) -> None:
        store = await desk.another()
        if not isinstance(store, SupportsWakeups):
            return
        waiting = asyncio.create_task(store.wait_for_change())
        while not waiting.done():  # it may be told of something earlier
            await _elsewhere(desk.put("a", replace=True))
            await asyncio.wait([waiting], timeout=_PATIENCE / 100)
        await waiting

    async def _live(self, desk: Bench, client: str) -> None:
        """Use every verb, each client with ids of its own."""
        for turn in range(self.many(20)):
            message = desk.message(f"{client} {turn}", HOUR)
            assert list(await desk.store.put([Group([message])])) == [None]
            at = desk.start + 2 * HOUR
            found = await desk.store.reschedule(message.id, at, of_state=State.SCHEDULED)
            assert found is State.SCHEDULED
            assert (await desk.store.get(message.id)) is not None
            assert message.id in await desk.listed()
            assert not (await desk.claim()).claims
            assert list(await desk.store.cancel([message.id])) == [State.SCHEDULED]
            await desk.store.stats()


async def _elsewhere(work: Coroutine[Any, Any, T]) -> T:
    """The result of some work on an event loop of its own, in a thread of its own."""
    return await asyncio.to_thread(asyncio.run, _within(work))


async def _within(work: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(_PATIENCE):
        return await work
