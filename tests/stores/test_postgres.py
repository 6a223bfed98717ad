"""The PostgreSQL store is held to the contract, on a real server."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool

from duly.store import Clock
from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import (
    ClaimingAheadCases,
    RecordCases,
    StoreHarness,
    StoreSuite,
    TransactionCases,
    WakeupCases,
)
from duly_postgres import PostgresStore

_free: list[str] = []  # tables that a case has left empty, for the next one


class OnPostgres(StoreHarness):
    """A table for each namespace, in a database of the run's own."""

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url
        self.tables: dict[str, str] = {}
        self.engine = create_async_engine(
            postgres_url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool
        )

    async def make_store(self, namespace: str, clock: Clock | None) -> PostgresStore:
        return PostgresStore(self.engine, table=self.table(namespace), clock=clock)

    def table(self, namespace: str) -> str:
        if namespace not in self.tables:
            self.tables[namespace] = _free.pop() if _free else namespace
        return self.tables[namespace]

    async def drop(self, namespace: str) -> None:
        table = self.table(namespace)
        await self.execute(
            "; ".join(f"DELETE FROM {table}{end}" for end in ("", "_due", "_leases"))
        )
        _free.append(table)

    async def execute(self, statement: str, *arguments: Any) -> None:
        async with self.connection() as connection:
            await connection.execute(statement, *arguments)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()


class TestPostgresStore(OnPostgres, ClaimingAheadCases, WakeupCases, RecordCases, StoreSuite):
    """All cases, and those for all that it can do beyond the contract but for transactions."""

    scale = 0.3

    async def damage(self, namespace: str, id: str) -> None:
        await self.execute(
            f"UPDATE {self.table(namespace)} SET metadata = '\\x80' WHERE id = $1", id
        )

    async def age(self, namespace: str, id: str) -> None:
        await self.execute(f"UPDATE {self.table(namespace)} SET format = 99 WHERE id = $1", id)


class TestWithinAsyncpg(OnPostgres, TransactionCases):
    """In a transaction on a connection of asyncpg."""

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[Any]:
        async with self.connection() as connection, connection.transaction():
            yield connection


class TestWithinAsyncpgPool(OnPostgres, TransactionCases):
    """In a transaction on a connection out of a pool of asyncpg."""

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[Any]:
        async with asyncpg.create_pool(self.url, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection, connection.transaction():
                yield connection


class TestWithinAsyncConnection(OnPostgres, TransactionCases):
    """In a transaction on a connection of SQLAlchemy."""

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[Any]:
        async with self.engine.begin() as connection:
            yield connection


class TestWithinAsyncSession(OnPostgres, TransactionCases):
    """In a session of SQLAlchemy."""

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[Any]:
        async with AsyncSession(self.engine) as session, session.begin():
            yield session


class TestCrashPoints(OnPostgres, CrashPointCases):
    """A scheduler is killed at calls of its store and its transport."""

    scale = 0.15


class TestRandomLives(OnPostgres, RandomLifeCases):
    """Everything goes wrong, no rule is broken."""

    scale = 0.2
