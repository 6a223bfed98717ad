"""What a store's author tells the cases: how to make a store."""

import contextlib
import inspect
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from string import ascii_lowercase
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from duly.store import Clock, Store
from duly.testing.stores.bench import Bench


class StoreHarness(ABC):
    """The base of all cases. Derive from the suite or some of its themes and fill this in."""

    scale: ClassVar[float] = 1.0
    """Sizes and repetitions of the larger cases are multiplied by it: below 1 for slow servers."""

    patience: ClassVar[float] = 1.0
    """The 50 to 300 ms that cases on the store's own clock wait are multiplied by it."""

    resolution: ClassVar[timedelta] = timedelta(microseconds=1)
    """The finest step of the store's due times."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name, case in list(vars(cls).items()):  # for those whose asyncio_mode is strict
            if name.startswith("test_") and inspect.iscoroutinefunction(case):
                setattr(cls, name, pytest.mark.asyncio(loop_scope="function")(case))

    @abstractmethod
    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        """One more store object over ``namespace``, telling time by ``clock`` or its server.

        Called several times in a case: what is made for one namespace shares its messages, and
        may be the same object. A namespace is a fresh name of twelve lower-case letters, good for
        a key prefix, a table or a file. The cases open and close what they get.
        """

    async def drop(self, namespace: str) -> None:  # noqa: B027  # there may be nothing to do
        """Remove what is left of ``namespace``; called after each case, when all is closed."""

    async def leftovers(self, namespace: str) -> Collection[str]:
        """What the store still keeps of ``namespace``, beyond what is always there.

        Asked at the end of cases, when every message has been removed, every lease has lapsed and
        somebody has claimed since: anything then named has leaked.
        """
        return ()

    def many(self, number: int) -> int:
        """So many at scale 1, and never fewer than 5."""
        return max(5, round(number * self.scale))

    @contextlib.asynccontextmanager
    async def bench(self, *, by_hand: bool = True) -> AsyncIterator[Bench]:
        """A bench over a fresh namespace, cleared away afterwards."""
        namespace = "".join(secrets.choice(ascii_lowercase) for _ in range(12))
        try:
            async with Bench(self, namespace, by_hand=by_hand) as bench:
                yield bench
        finally:
            await self.drop(namespace)

    @pytest_asyncio.fixture(loop_scope="function", name="desk")
    async def _desk(self, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
        async with self.bench() as bench:
            before = request.session.testsfailed
            yield bench
            if request.session.testsfailed == before:
                await bench.check_books()
                await bench.check_leftovers()

    @pytest_asyncio.fixture(loop_scope="function", name="timed", params=["hand", "own"])
    async def _timed(self, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
        async with self.bench(by_hand=request.param == "hand") as bench:
            before = request.session.testsfailed
            yield bench
            if request.session.testsfailed == before:
                await bench.check_books()
                await bench.check_leftovers()
