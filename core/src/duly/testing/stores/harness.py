"""What a store's author writes for the cases: how to make a store."""

import contextlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from secrets import choice
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
    """Multiplies the 50 to 300 ms that cases wait which use the store's own clock."""

    resolution: ClassVar[timedelta] = timedelta(microseconds=1)
    """The finest step of the store's due times."""

    outage_patience: ClassVar[float] = 30.0
    """Seconds within which a verb must raise when its server is away."""

    no_outages: ClassVar[str | None] = None
    """Why a test cannot take the server away; instead of :meth:`outage` and :meth:`freeze`."""

    no_freezes: ClassVar[str | None] = None
    """Why a test cannot freeze the server; instead of :meth:`freeze`."""

    no_connections: ClassVar[str | None] = None
    """Why there are no connections to count; instead of :meth:`connections`."""

    secrets: ClassVar[Sequence[str]] = ()
    """Passwords and the like that stores are made with, and must keep to themselves."""

    no_secrets: ClassVar[str | None] = None
    """Why stores are made without secrets; instead of :attr:`secrets`."""

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        for name, case in list(vars(cls).items()):  # for those whose asyncio_mode is strict
            if name.startswith("test_") and inspect.iscoroutinefunction(case):
                setattr(cls, name, pytest.mark.asyncio(loop_scope="function")(case))

    @abstractmethod
    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        """One more store object over ``namespace``; its time is ``clock``, or its server's if None.

        Called several times in a case: stores made for one namespace share their messages, and
        may be the same object. A namespace is a fresh name of twelve lower-case letters, good for
        a key prefix, a table or a file. The cases open and close what they get.
        """

    async def drop(self, namespace: str) -> None:  # noqa: B027  # there may be nothing to do
        """Remove what is left of ``namespace``; called after each case, when all is closed."""

    async def leftovers(self, namespace: str) -> Collection[str]:
        """What the store still keeps of ``namespace``, beyond what is always there.

        Called at the end of cases, when every message has been removed, every lease has lapsed and
        somebody has claimed since: anything it returns then has leaked.
        """
        return ()

    def outage(self, namespace: str) -> AbstractAsyncContextManager[None]:
        """The server of ``namespace`` is away for the block; connections to it are cut.

        Override it, or say in :attr:`no_outages` why not.
        """
        raise NotImplementedError

    def freeze(self, namespace: str) -> AbstractAsyncContextManager[None]:
        """The server of ``namespace`` answers nothing for the block, and goes on afterwards.

        Override it, or say in :attr:`no_freezes` why not.
        """
        raise NotImplementedError

    async def connections(self, namespace: str) -> int:
        """How many connections, files or threads all stores of ``namespace`` have at present.

        Override it, or say in :attr:`no_connections` why not.
        """
        raise NotImplementedError

    def needs(self, name: str, *opt_outs: str) -> None:
        """Skip the case if the author says why it is not for this store.

        It fails if the author neither says so nor gives what it needs.
        """
        for opt_out in opt_outs:
            if reason := getattr(self, opt_out):
                pytest.skip(reason)
        if getattr(type(self), name) is getattr(StoreHarness, name):
            pytest.fail(f'give {name}, or say why not: {opt_outs[0]} = "..."', pytrace=False)

    def assert_discreet(self, thing: object) -> None:
        """Check that the text of a thing shows no secrets; for an error, its causes too."""
        while thing is not None:
            for secret in self.secrets:
                assert secret not in f"{thing!r} {thing!s}", (
                    f"{type(thing).__name__} shows a secret"
                )
            hidden = getattr(thing, "__suppress_context__", False)
            above = None if hidden else getattr(thing, "__context__", None)
            thing = getattr(thing, "__cause__", None) or above

    def many(self, number: int) -> int:
        """So many at scale 1, and never fewer than 5."""
        return max(5, round(number * self.scale))

    @contextlib.asynccontextmanager
    async def bench(self, *, by_hand: bool = True) -> AsyncIterator[Bench]:
        """A bench over a fresh namespace, cleared away afterwards."""
        namespace = "".join(choice(ascii_lowercase) for _ in range(12))
        try:
            async with Bench(self, namespace, by_hand=by_hand) as bench:
                yield bench
        finally:
            await self.drop(namespace)

    @pytest_asyncio.fixture(loop_scope="function", name="bare")
    async def _bare(self) -> AsyncIterator[Bench]:
        async with self.bench() as bench:  # of a store that may not be able to tell its books yet
            yield bench

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
