"""The store for tests of services is held to the contract, in transactions of SQLAlchemy too."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from duly.store import Clock, Group, Store
from duly.testing.fake_store import FakeStore
from duly.testing.stores import (
    Bench,
    CallerCases,
    ClaimingCases,
    NoteCases,
    TakeoverCases,
    WakeupCases,
)
from duly.testing.stores.within import WithinCases
from duly.testing.stores.within_looking import WithinLookCases

pytest_plugins = ["duly.testing"]


class Turned(FakeStore):
    """Goes by the clock of the cases."""

    def __init__(self, clock: Clock | None) -> None:
        super().__init__()
        if clock is not None:
            self._clock = clock


class TestFakeStore(
    WakeupCases,
    NoteCases,
    TakeoverCases,
    WithinLookCases,
    WithinCases,
    ClaimingCases,
    CallerCases,
):
    """All but its clock; nothing is locked, so no case of two transactions at a time."""

    no_outages = no_connections = "it is in the process itself"
    no_secrets = "it is made without a password"

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        stores: dict[str, Turned] = self.__dict__.setdefault("stores", {})
        return stores.setdefault(namespace, Turned(clock))

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[Any]:
        engine = create_engine("sqlite://")
        with Session(engine) as session, session.begin():
            yield session
        engine.dispose()

    def transaction_elsewhere(self) -> contextlib.AbstractAsyncContextManager[Any]:
        return self.transaction("elsewhere")

    # What other stores refuse it takes: a service may give it any transaction, one of a mock too.

    async def test_what_transactions_it_accepts(self, desk: Bench) -> None:
        assert isinstance(desk.store, FakeStore)
        assert all(map(desk.store.accepts, (object(), "transaction", desk.store)))
        assert not desk.store.accepts(None)

    async def test_what_is_no_transaction_is_refused(self, desk: Bench) -> None:
        await desk.store.put([Group([desk.message("b")])], within=object())
        assert await desk.listed() == ["b"]

    async def test_a_transaction_elsewhere_is_refused(self, desk: Bench) -> None:
        async with self.transaction_elsewhere() as within:
            await desk.store.put([Group([desk.message("b")])], within=within)
        assert await desk.listed() == ["b"]

    async def test_a_look_elsewhere_is_refused(self, desk: Bench) -> None:
        assert isinstance(desk.store, FakeStore)
        async with self.transaction_elsewhere() as within:
            assert await desk.store.get("b", within=within) is None
