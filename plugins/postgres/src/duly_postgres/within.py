"""The caller's own transaction: an SQLAlchemy session or connection, or one of asyncpg."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy.engine import TwoPhaseTransaction
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session

from duly import InvalidArgument
from duly_postgres.blocks import Block
from duly_postgres.connection import Executor, Row

__all__ = ["NAMED", "Guest", "accepts", "guest"]

_KINDS = (asyncpg.Connection, PoolConnectionProxy, AsyncConnection, AsyncSession)
NAMED = "an AsyncSession or AsyncConnection of SQLAlchemy, or an asyncpg connection"


class Guest(Executor, Protocol):
    """Where statements run in a caller's transaction."""

    @property
    def settings(self) -> object:
        """An object of the driver's that exists once for each connection."""

    @property
    def prepared(self) -> bool:
        """Whether it is known to use a two-phase commit, which does not allow NOTIFY."""


def accepts(within: object) -> bool:
    """Whether ``within`` is of a kind that :func:`guest` takes."""
    return isinstance(within, (*_KINDS, async_scoped_session))


async def guest(within: Any) -> Guest:
    """A caller's transaction.

    Raises:
        InvalidArgument: it is not a connection, not one to PostgreSQL, closed, in no transaction,
            or belongs to another event loop.
    """
    if isinstance(within, asyncpg.Connection | PoolConnectionProxy):
        if within.is_closed():
            raise InvalidArgument("within is a connection that is closed")
        if not within.is_in_transaction():
            raise InvalidArgument(
                "within is a connection that is in no transaction: call this inside "
                "async with connection.transaction()"
            )
        _see_loop(within)
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
    driver = raw.driver_connection
    _see_loop(driver)
    if raw.dbapi_connection.autocommit and not driver.is_in_transaction():
        raise InvalidArgument(
            "within is a connection with the isolation level AUTOCOMMIT, which is in no "
            "transaction: each statement would be committed by itself"
        )
    return _Core(within, driver.get_settings())


def _see_loop(connection: Any) -> None:
    # asyncpg itself says so only when it would have to wait, and is unusable from then on.
    if connection._loop is not asyncio.get_running_loop():  # noqa: SLF001  # nothing else tells it
        raise InvalidArgument(
            "within is a connection that was made on another event loop: use it there, with a "
            "client of that loop"
        )


class _Driver:
    """A transaction on a connection of asyncpg, begun by it or by a plain BEGIN."""

    prepared = False  # unknown in advance: if it is prepared by hand, the server raises an error

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.settings = connection.get_settings()

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Row]:
        rows: Sequence[Row] = await self._connection.fetch(
            statement, *arguments, record_class=asyncpg.Record
        )
        return rows

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        return Block.savepoint(self._connection.execute)


class _Core:
    """A transaction on a connection of SQLAlchemy, begun by it if there is none."""

    def __init__(self, connection: AsyncConnection, settings: object) -> None:
        self._connection = connection
        self.settings = settings

    @property
    def prepared(self) -> bool:
        connection = self._connection.sync_connection
        return connection is not None and isinstance(
            connection.get_transaction(), TwoPhaseTransaction
        )

    async def fetch(self, statement: str, *arguments: Any) -> Sequence[Row]:
        result = await self._connection.exec_driver_sql(statement, arguments)
        return result.all() if result.returns_rows else ()

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        return self._connection.begin_nested()
