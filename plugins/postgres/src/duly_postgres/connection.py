"""One connection of the store's own, and what is asked of it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

import asyncpg

from duly.moment import to_microseconds

__all__ = ["Connection", "Executor", "Row"]

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

    ``pooled`` tells that a transaction pooler stands between us and the server. Then nothing of
    a session may be relied upon, prepared statements included.
    """

    WRONG_TABLE: Final = (
        asyncpg.UndefinedTableError,
        asyncpg.UndefinedColumnError,
        asyncpg.WrongObjectTypeError,
        asyncpg.DatatypeMismatchError,
        asyncpg.UndefinedFunctionError,
    )
    """What is raised by statements for tables that are not ours."""

    def __init__(self, driver: Any, *, pooled: bool) -> None:
        self.driver = driver
        self.pooled = pooled
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
        """Whether it can be used for something else now."""
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
            async with self.driver.transaction():
                return await self._fetch_pooled(statement, arguments)
        # Without a name nothing is left behind on the server.
        prepared = await self.driver.prepare(statement, name="")
        rows: Sequence[Row] = await prepared.fetch(*arguments)
        self.answered = True
        return rows

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """A transaction; within one, a savepoint."""
        transaction: AbstractAsyncContextManager[Any] = self.driver.transaction()
        return transaction

    def terminate(self) -> None:
        """Drop it, whatever it is doing."""
        self.driver.terminate()

    async def close(self) -> None:
        """Say goodbye to the server, or drop it if that does not answer."""
        try:
            await self.driver.close(timeout=2)
        except Exception:  # noqa: BLE001  # it is closed all the same
            self.driver.terminate()


def _encoded(moment: Any) -> tuple[int]:
    return ((moment if type(moment) is int else to_microseconds(moment)) - _EPOCH,)


def _decoded(value: tuple[int]) -> int:
    return value[0] + _EPOCH
