"""The caller's own transaction: an SQLAlchemy session or connection, or one of asyncpg."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

from duly import InvalidArgument
from duly_postgres.connection import Executor, Row

__all__ = ["NAMED", "Guest", "accepts", "guest"]

_KINDS = (asyncpg.Connection, PoolConnectionProxy, AsyncConnection, AsyncSession)
NAMED = "an AsyncSession or AsyncConnection of SQLAlchemy, or an asyncpg connection"


class Guest(Executor, Protocol):
    """Where statements run in a caller's transaction."""

    @property
    def settings(self) -> object:
        """What the driver has one of for each connection."""


def accepts(within: object) -> bool:
    """Whether ``within`` is of a kind that :func:`guest` takes."""
    return isinstance(within, (*_KINDS, async_scoped_session))


async def guest(within: Any) -> Guest:
    """A caller's transaction.

    Raises:
        InvalidArgument: no connection, one to something else, or one that is closed or in no
            transaction.
    """
    if isinstance(within, asyncpg.Connection | PoolConnectionProxy):
        if within.is_closed():
            raise InvalidArgument("within is a connection that is closed")
        if not within.is_in_transaction():
            raise InvalidArgument(
                "within is a connection that is in no transaction: call this inside "
                "async with connection.transaction()"
            )
        return _Driver(within)
    if isinstance(within, AsyncSession | async_scoped_session):
        within = await within.connection()
    if not isinstance(within, AsyncConnection):
        raise InvalidArgument(f"within must be {NAMED}, not {type(within).__name__}")
    if within.closed:
        raise InvalidArgument("within is a connection that is closed")
    if within.dialect.driver != "asyncpg":
        raise InvalidArgument(
            f"within is a connection by {within.dialect.name}+{within.dialect.driver}; it must be "
            "by postgresql+asyncpg"
        )
    raw: Any = await within.get_raw_connection()
    return _Core(within, raw.driver_connection.get_settings())


class _Driver:
    """A transaction on a connection of asyncpg."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.settings = connection.get_settings()

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(
            statement, *arguments, record_class=asyncpg.Record
        )
        return rows

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        savepoint: AbstractAsyncContextManager[Any] = self._connection.transaction()
        return savepoint


class _Core:
    """A transaction on a connection of SQLAlchemy, begun by it if there is none."""

    def __init__(self, connection: AsyncConnection, settings: object) -> None:
        self._connection = connection
        self.settings = settings

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Row]:
        result = await self._connection.exec_driver_sql(statement, arguments)
        return result.all() if result.returns_rows else ()

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.begin_nested()
