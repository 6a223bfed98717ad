"""The store's server goes away and comes back: every verb says so in the words of the contract."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, TypeVar

import pytest

from duly.errors import StoreError
from duly.store import Store
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.stages import BEFORE, READING, VERBS, Stage

T = TypeVar("T")

_POINTS: Final = (0, 1, 2, 4, 8, 16, 32, 64)
"""After so many turns of the event loop the server goes, in the middle of a verb or after it."""

_PAUSE: Final = 0.02  # seconds between two tries


class OutageHarness(StoreHarness):
    """How to call a store whose server is away, and to wait until it works again."""

    async def _error_of(self, call: Awaitable[object], patience: float | None = None) -> object:
        """The error that a call raises; None if it does what it should.

        With ``patience`` the call may have no answer by then, and is cancelled.
        """
        task = asyncio.ensure_future(call)
        await asyncio.wait([task], timeout=patience or self.outage_patience)
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=self.outage_patience)
            assert task.done(), "the call does not end when it is cancelled"
            assert patience is not None, f"no answer within {self.outage_patience} seconds"
        if task.cancelled():
            assert patience is not None, "CancelledError, although nobody has cancelled it"
            return None
        error = task.exception()
        if isinstance(error, AssertionError):
            raise error
        assert isinstance(error, StoreError | None), f"raise a StoreError: {error!r}"
        self.assert_discreet(error)
        return error

    async def _amid(
        self,
        trouble: AbstractAsyncContextManager[None],
        call: Awaitable[object],
        turns: int,
        patience: float,
    ) -> None:
        """Make a call, and let trouble begin after so many turns of the event loop."""
        task = asyncio.ensure_future(call)
        for _ in range(turns):
            await asyncio.sleep(0)
        async with trouble:
            await self._error_of(task, patience)

    async def _again(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of a call once the store has noticed that the server is back."""
        task = asyncio.ensure_future(self._tried(call))
        await asyncio.wait([task], timeout=self.outage_patience)
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=self.outage_patience)
            raise AssertionError("the server is back, but the store does not work again")
        return await task

    async def _tried(self, call: Callable[[], Awaitable[T]]) -> T:
        while True:
            with contextlib.suppress(StoreError):
                return await call()
            await asyncio.sleep(_PAUSE)


class OutageCases(OutageHarness):
    """A verb raises StoreError or its subclass StoreUnavailable, nothing else, and in time.

    Afterwards the same store object works again, and what was under way is done or not: never
    half.
    """

    @pytest.mark.parametrize("verb", VERBS)
    async def test_away(self, desk: Bench, verb: str) -> None:
        self.needs("outage", "no_outages")
        stage = await Stage.set(desk, desk.store, 0)
        call, done = VERBS[verb]
        async with self.outage(desk.namespace):
            error = await self._error_of(call(stage))
            # A verb may succeed that can still read, as from a file that is locked.
            assert error is not None or verb in READING, "done, although the server is away"
        assert await self._again(stage.seen) in (BEFORE, done)
        await self._again(lambda: call(stage))
        assert await stage.seen() == done

    @pytest.mark.parametrize("verb", VERBS)
    async def test_it_goes_in_the_middle(self, desk: Bench, verb: str) -> None:
        self.needs("outage", "no_outages")
        await self._in_the_middle(desk, verb, self.outage, self.outage_patience)

    @pytest.mark.parametrize("verb", VERBS)
    async def test_it_freezes_in_the_middle(self, bare: Bench, verb: str) -> None:
        """A store may wait; its caller gives up after a while.

        What was given up may still be done when the server goes on, at any time: also after all
        that was seen has been cleared away. So there is no check that nothing is left.
        """
        self.needs("freeze", "no_freezes", "no_outages")
        await self._in_the_middle(bare, verb, self.freeze, _PAUSE * self.patience)

    async def test_opened_while_it_is_away(self, desk: Bench) -> None:
        self.needs("outage", "no_outages")
        await desk.put("a")
        store = await desk.unopened()
        async with self.outage(desk.namespace):
            for _ in range(2):
                await self._error_of(self._open(store))
        await self._back(desk, store)

    async def test_opened_while_it_is_frozen(self, desk: Bench) -> None:
        self.needs("freeze", "no_freezes", "no_outages")
        await desk.put("a")
        store = await desk.unopened()
        async with self.freeze(desk.namespace):
            await self._error_of(self._open(store), _PAUSE * self.patience)
        await self._back(desk, store)

    async def test_closed_while_it_is_away(self, desk: Bench) -> None:
        self.needs("outage", "no_outages")
        await desk.put("a")
        store = await desk.another()
        assert await store.get("a") is not None
        async with self.outage(desk.namespace):
            await self._error_of(store.close())
        await self._back(desk, store)

    async def test_again_and_again(self, desk: Bench) -> None:
        self.needs("outage", "no_outages")
        stage = await Stage.set(desk, desk.store, 0)
        for _ in range(3):
            async with self.outage(desk.namespace):
                assert await self._error_of(stage.cancel()) is not None
            assert await self._again(stage.seen) == BEFORE

    async def _back(self, desk: Bench, store: Store) -> None:
        """Wait until both this store and that of the bench work again."""
        await self._again(lambda: self._open(store))
        await self._again(lambda: self._open(desk.store))

    async def _open(self, store: Store) -> None:
        await store.open()
        assert await store.get("a") is not None

    async def _in_the_middle(
        self,
        desk: Bench,
        verb: str,
        trouble: Callable[[str], AbstractAsyncContextManager[None]],
        patience: float,
    ) -> None:
        call, done = VERBS[verb]
        for turns in _POINTS[: self.many(len(_POINTS))]:
            stage = await self._again(partial(Stage.set, desk, desk.store, turns))
            await self._amid(trouble(desk.namespace), call(stage), turns, patience)
            assert await self._again(stage.seen) in (BEFORE, done)
            await self._again(stage.clear)
