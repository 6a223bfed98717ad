"""The crash points of :mod:`duly.testing.crashes`, and random lives, for a store of any kind.

The harness is that of :class:`duly.testing.stores.StoreSuite`, so that one class serves both::

    pytest_plugins = ["duly.testing"]

    class Harness(StoreHarness):
        async def make_store(self, namespace, clock):
            return MyStore(f"redis://localhost/0?key_prefix={namespace}:", clock=clock)

        async def drop(self, namespace): ...     # remove what is left of it

    class TestMyStore(Harness, StoreSuite): ...
    class TestCrashPoints(Harness, CrashPointCases): ...
    class TestRandomLives(Harness, RandomLifeCases): ...

Stores are made, used and closed on the event loop of the test, where time is real, so that any
driver with sockets, threads and timers of its own will do. The schedulers that are killed run on
an event loop of virtual time: hours pass there in an instant, but while the store is called time
passes as it really does. ``clock`` tells that virtual time, and the store must use it.
Each scheduler has a store object of its own over the namespace. One call reaches the store at a
time, and a call of a scheduler that is killed meanwhile is carried out to its end.

The story has some 150 crash points, and there is another one of names that stand aside; with
``scale`` below 1, for slow servers, that fraction of them is tried.
"""

import functools
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from string import ascii_lowercase
from typing import Any, Final, TypeVar

import pytest

from duly.store import Clock, Store
from duly.testing.clock import running_clock
from duly.testing.crashes import near_moves, tell
from duly.testing.crowded import Crowded
from duly.testing.elsewhere import Home
from duly.testing.simulation import live
from duly.testing.stores.harness import StoreHarness
from duly.testing.story import Story
from duly.testing.story_of_lines import StoryOfLines

__all__ = ["CrashPointCases", "CrowdedLifeCases", "RandomLifeCases"]

T = TypeVar("T")

_PARTS: Final = 4  # in which cases go through many points or seeds, so that none takes long
_LIVES: Final = 20
_FEW: Final = 5
_CROWDS: Final = 5

Make = Callable[[Clock], Awaitable[Store]]
"""Gives, on a virtual loop, one more store that is open, over the messages of the others."""


class _Case(StoreHarness):
    async def _virtually(self, work: Callable[[Make], Coroutine[Any, Any, T]]) -> T:
        """What comes of some work on a virtual loop, with stores over a namespace of its own."""
        home, stores = Home(), list[Store]()
        namespace = "".join(secrets.choice(ascii_lowercase) for _ in range(12))

        async def make_here(clock: Clock) -> Store:
            store = await self.make_store(namespace, clock)
            if all(store is not each for each in stores):
                stores.append(store)
            await store.open()
            return store

        async def make(clock: Clock) -> Store:
            return home.store(await home.call(make_here, clock))

        try:
            return await home.run_virtually(lambda: work(make))
        finally:
            for store in stores:
                await store.close()
            await self.drop(namespace)


class CrashPointCases(_Case):
    """A scheduler is killed at every call of its store and its transport; nothing is lost by it."""

    @pytest.mark.parametrize("part", range(_PARTS))
    async def test_every_await_may_be_the_last(self, part: int) -> None:
        points = await self._told(None)
        assert len(points) > 100, f"the story had only {len(points)} crash points"
        number = min(self.many(len(points)), len(points))
        chosen = [each * len(points) // number for each in range(number)]
        for each in chosen[part::_PARTS]:
            try:
                await self._told(each)
            except AssertionError as error:
                where = f"killed at crash point {each}, {points[each]}"
                raise AssertionError(f"{where}: {error}") from error

    async def test_a_death_while_names_stand_aside(self) -> None:
        points = await self._told(None, StoryOfLines)
        # Where the store has no lines nothing is moved: then a few of all will do.
        near = near_moves(points) or range(0, len(points), max(1, len(points) // _FEW))
        number = min(self.many(len(near)), len(near))
        for each in (near[each * len(near) // number] for each in range(number)):
            try:
                await self._told(each, StoryOfLines)
            except AssertionError as error:
                where = f"killed at crash point {each}, {points[each]}"
                raise AssertionError(f"{where}: {error}") from error

    async def _told(self, fatal: int | None, kind: type[Story] = Story) -> Sequence[str]:
        async def work(make: Make) -> Sequence[str]:
            clock = running_clock()
            stores = [await make(clock) for _ in range(3)]
            return await tell(clock, stores, fatal, strict=False, kind=kind)

        return await self._virtually(work)


class CrowdedLifeCases(_Case):
    """Random lives among crowds (:mod:`duly.testing.crowded`), for a store with lines."""

    async def test_nobody_is_lost_in_a_crowd(self) -> None:
        for seed in range(max(1, round(_CROWDS * self.scale))):
            await self._virtually(functools.partial(live, seed=seed, kind=Crowded))


class RandomLifeCases(_Case):
    """Random lives of :mod:`duly.testing.simulation`: everything goes wrong, no rule is broken."""

    @pytest.mark.parametrize("part", range(_PARTS))
    async def test_random_lives(self, part: int) -> None:
        for seed in range(part, self.many(_LIVES), _PARTS):
            await self._virtually(functools.partial(live, seed=seed))
