"""One connection of the store's own, and what is asked of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any, Final, Protocol, TypeVar

import asyncpg

from duly.moment import to_microseconds
from duly_postgres.blocks import Block
from duly_postgres.limits import Limits

__all__ = ["Connection", "Executor", "Row"]

T = TypeVar("T")

Row = Any
"""A row: its values by place; of our own connections by name as well."""

_EPOCH: Final = 946_684_800_000_000
"""Where PostgreSQL counts from, 2000-01-01, in microseconds since 1970."""


class Executor(Protocol):
    """Where the verbs of callers run: a connection of ours, or the caller's own transaction."""

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Row]:
        """All rows that a statement brings."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A block that is done as a whole or not at all, also within another."""


class Connection:
    """An asyncpg connection that nobody else uses; moments are microseconds since 1970.

    ``pooled`` tells that a transaction pooler is between us and the server. Then nothing of a
    session can be relied upon, prepared statements included.
    """

    WRONG_TABLE: Final = (
        asyncpg.UndefinedTableError,
        asyncpg.UndefinedColumnError,
        asyncpg.WrongObjectTypeError,
        asyncpg.DatatypeMismatchError,
        asyncpg.UndefinedFunctionError,
    )
    """The error of statements for which the tables are not as duly makes them."""

    def __init__(self, driver: Any, *, pooled: bool, limits: Limits | None = None) -> None:
        self.driver = driver
        self.pooled = pooled
        self._limits = limits
        self._patient = False
        self._prepared: dict[str, Any] = {}
        self.answered = False
        """Whether anything was answered since it was taken into use."""

    async def prepare_types(self) -> None:
        """Let moments be whole numbers, as records have them; costs no round trip."""
        await self.driver.set_type_codec(
            "timestamptz", schema="pg_catalog", format="tuple", encoder=_encoded, decoder=_decoded
        )

    @property
    def usable(self) -> bool:
        """Whether it is free for another use."""
        return not self.driver.is_closed() and not self.driver.is_in_transaction()

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Row]:
        """All rows that a statement brings; prepared once for each connection."""
        if self.pooled:
            return await self._fetch_pooled(statement, arguments)
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = await self.driver.prepare(statement)
        try:
            rows: Sequence[Row] = await prepared.fetch(*arguments)
        except asyncpg.InvalidCachedStatementError:  # a table was altered
            del self._prepared[statement]
            raise
        self.answered = True
        return rows

    async def _fetch_pooled(self, statement: str, arguments: Sequence[Any]) -> Sequence[Row]:
        if not self.driver.is_in_transaction():  # which keeps the pooler from changing servers
            async with self.transaction():
                return await self._fetch_pooled(statement, arguments)
        # Without a name nothing is left behind on the server.
        prepared = await self.driver.prepare(statement, name="")
        rows: Sequence[Row] = await prepared.fetch(*arguments)
        self.answered = True
        return rows

    async def run_alone(self, statement: str) -> None:
        """Run a statement that cannot run in a transaction, however long it takes."""
        if not self.pooled:  # else it would be set for others
            await self.driver.execute("SET statement_timeout = 0; SET lock_timeout = 0")
        await self.driver.execute(statement)

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction; within one, a savepoint."""
        if not self.pooled:
            transaction: AbstractAsyncContextManager[Any] = self.driver.transaction()
            return transaction
        if self.driver.is_in_transaction():
            return Block.savepoint(self.driver.execute)
        limits = "" if self._limits is None else self._limits.of_transaction
        return Block(self.driver.execute, f"BEGIN{limits}", "COMMIT", "ROLLBACK")

    async def unless_locked(
        self, work: Callable[[], Awaitable[T]], past: Callable[[], Awaitable[T]]
    ) -> T:
        """The result of ``work``; if others hold too long what it needs, that of ``past``.

        ``work`` is one transaction, so that nothing of it is done then. ``past`` goes past what
        others hold, in a transaction that waits longer for everything else.
        """
        if self._patient:
            return await past()
        if self.driver.is_in_transaction():
            return await work()  # whoever began it goes past
        try:
            return await work()
        except asyncpg.LockNotAvailableError:
            pass
        async with self.transaction():
            await self.wait_at_most(None)
            self._patient = True
            try:
                return await past()
            finally:
                self._patient = False

    @asynccontextmanager
    async def unlimited(self) -> AsyncIterator[None]:
        """Let statements take any time: for changes of the schema."""
        limits, self._limits = self._limits, None
        if limits is not None and not self.pooled:
            await self.fetch(limits.end)
        try:
            yield
        finally:
            self._limits = limits
            if limits is not None and not self.pooled and self.usable:
                await self.fetch(limits.begin)

    async def wait_at_most(self, duration: timedelta | None) -> None:
        """From now on in this transaction, wait at most this long for what others hold.

        None: a little less than callers wait.
        """
        if self._limits is not None:
            await self.fetch(self._limits.within(duration))

    def terminate(self) -> None:
        """Drop it, whatever it is doing."""
        self.driver.terminate()

    async def close(self) -> None:
        """Close it in order, or drop it if the server does not answer."""
        try:
            await self.driver.close(timeout=2)
        except Exception:  # noqa: BLE001  # it is closed anyway
            self.driver.terminate()


def _encoded(moment: Any) -> tuple[int]:
    return ((moment if type(moment) is int else to_microseconds(moment)) - _EPOCH,)


def _decoded(value: tuple[int]) -> int:
    return value[0] + _EPOCH
