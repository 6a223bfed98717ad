"""A store with transactions of the caller's, as plain as can be, to plant bugs in."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, ClassVar

from duly import Filter, InvalidArgument, State
from duly.message import with_changes
from duly.store import Clock, Store
from duly.testing.stores import TransactionCases
from duly.testing.stores.model import Model
from duly.testing.stores.plain import PlainStore


class Transaction:
    """Has the store for itself as soon as it changes something."""

    def __init__(self, name: object) -> None:
        self.name = name
        self.began = False


class TransactingStore(PlainStore):
    """One at a time: whoever comes while somebody else has it waits."""

    transactions = "a transaction of the tests"

    def __init__(self, *, clock: Clock | None = None) -> None:
        super().__init__(clock=clock)
        self.turn = asyncio.Lock()
        self.committed: Any = None

    def accepts(self, within: object) -> bool:
        return isinstance(within, Transaction)

    @contextlib.asynccontextmanager
    async def turn_of(self, within: Any) -> AsyncIterator[None]:
        """The store, for one verb or up to the end of a transaction."""
        if within is None:
            async with self.turn:
                yield
            return
        if within.name is not self:
            raise InvalidArgument("a transaction in another store")
        if not within.began:
            await self.turn.acquire()
            within.began = True
            self.committed = copy.deepcopy(self._model)
        yield

    @contextlib.asynccontextmanager
    async def begin(self) -> AsyncIterator[Transaction]:
        transaction = Transaction(self)
        try:
            yield transaction
        except BaseException:
            if transaction.began:
                self._model = self.committed
            raise
        finally:
            self.committed = None
            if transaction.began:
                self.turn.release()

    async def put(self, groups: Any, *, within: Any = None) -> Any:
        async with self.turn_of(within):
            return await super().put(groups)

    async def cancel(self, ids: Any, *, within: Any = None, **more: Any) -> Any:
        async with self.turn_of(within):
            return await super().cancel(ids, **more)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> Any:
        async with self.turn_of(within):
            return await super().reschedule(id, at, of_state=of_state)

    async def get(self, id: str, *, within: Any = None) -> Any:
        entry = self.seen(within).entries.get(id)
        return None if entry is None else entry.message

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
        within: Any = None,
    ) -> Any:
        found = self.seen(within).list(filter, from_key)
        return found if payload else [with_changes(message, payload=b"") for message in found]

    def seen(self, within: Any) -> Model:
        """What a transaction sees, or what everybody else does."""
        if within is not None and within.name is not self:
            raise InvalidArgument("a transaction in another store")
        began = within is not None and within.began
        seen = self._model if began else self.committed or self._model
        assert isinstance(seen, Model)
        return seen

    async def claim(self, **more: Any) -> Any:
        async with self.turn_of(None):
            return await super().claim(**more)


class TransactingSuite(TransactionCases):
    """The cases over stores of a kind."""

    waits_for_transactions: ClassVar[str | None] = "it is as plain as can be"

    def __init__(self, kind: type[TransactingStore] = TransactingStore) -> None:
        self.kind = kind
        self.stores: dict[str, TransactingStore] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        return self.stores.setdefault(namespace, self.kind(clock=clock))

    def transaction(self, namespace: str) -> Any:
        return self.stores[namespace].begin()

    def transaction_elsewhere(self) -> Any:
        return TransactingStore().begin()
