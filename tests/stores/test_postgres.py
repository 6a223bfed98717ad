"""The PostgreSQL store is held to the contract, on a real server."""

import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import NullPool
from tests.servers.postgres import with_database
from tests.stores.postgres_kit import Place
from tests.stores.through_a_gate import APART, PASSWORD, AwayCases

from duly.store import Clock
from duly.testing.crash_cases import CrashPointCases, CrowdedLifeCases, RandomLifeCases
from duly.testing.stores import (
    ClaimingAheadCases,
    DueBetweenCases,
    EnsureCases,
    ForecastCases,
    HealthCases,
    LineCases,
    LineMarkCases,
    ListingWithoutPayloadsCases,
    MigrationCases,
    NameStatsCases,
    NoteCases,
    NoteOutageCases,
    OverdueCases,
    RecordCases,
    StoreHarness,
    StoreSuite,
    TakeoverCases,
    TakeoverOutageCases,
    TakeoverTransactionCases,
    WakeupCases,
    WhereCases,
)
from duly.testing.stores.histories import HistoryCases
from duly.testing.stores.lines_histories import LineHistoryCases
from duly.testing.stores.series_histories import SeriesHistoryCases
from duly.testing.stores.within import WithinCases as KitsWithinCases
from duly.testing.stores.within_held import WithinHeldCases
from duly.testing.stores.within_races import WithinRaceCases
from duly_postgres import PostgresStore, desk
from duly_postgres.plugin import store_from_url

_free: list[str] = []  # tables that a case has left empty, for the next one


def engine_of(url: str) -> AsyncEngine:
    """An engine that keeps no connections, so that it need not be disposed of."""
    return create_async_engine(
        url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=NullPool
    )


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection for the block."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


class OnPostgres(StoreHarness):
    """A table for each namespace, in a database of the run's own."""

    @pytest.fixture(autouse=True)
    def _database(self, postgres_url: str) -> None:
        self.url = postgres_url
        self.tables: dict[str, str] = {}
        self.engine = engine_of(postgres_url)

    async def make_store(self, namespace: str, clock: Clock | None) -> PostgresStore:
        return PostgresStore(self.engine, table=self.table(namespace), clock=clock)

    def table(self, namespace: str) -> str:
        if namespace not in self.tables:
            self.tables[namespace] = _free.pop() if _free else namespace
        return self.tables[namespace]

    async def drop(self, namespace: str) -> None:
        table = self.table(namespace)
        await self.execute(
            "; ".join(
                f"DELETE FROM {table}{end}"
                for end in ("", "_due", "_aside", "_leases", "_floors", "_notes")
            )
        )
        await self.execute(f"UPDATE {table}_version SET lines = true")
        _free.append(table)

    async def execute(self, statement: str, *arguments: Any) -> None:
        async with connected(self.url) as connection:
            await connection.execute(statement, *arguments)


class TestPostgresStore(
    OnPostgres,
    ClaimingAheadCases,
    EnsureCases,
    ForecastCases,
    DueBetweenCases,
    LineCases,
    LineMarkCases,
    ListingWithoutPayloadsCases,
    NameStatsCases,
    OverdueCases,
    NoteCases,
    TakeoverCases,
    WakeupCases,
    WhereCases,
    RecordCases,
    StoreSuite,
):
    """All cases, and those for all that it can do beyond the contract but for transactions."""

    scale = 0.3
    histories = line_histories = 130  # TestLongHistories has all
    series_steps = 530
    no_outages = no_connections = no_secrets = APART

    async def damage(self, namespace: str, id: str) -> None:
        await self.execute(
            f"UPDATE {self.table(namespace)} SET metadata = '\\x80' WHERE id = $1", id
        )

    async def unmark(self, namespace: str) -> None:
        await self.execute(f"UPDATE {self.table(namespace)}_version SET lines = false")

    async def age(self, namespace: str, id: str) -> None:
        await self.execute(f"UPDATE {self.table(namespace)} SET format = 99 WHERE id = $1", id)


class TestAway(HealthCases, NoteOutageCases, TakeoverOutageCases, AwayCases, OnPostgres):
    """The server is taken away."""

    @pytest.fixture(autouse=True)
    def _password(self, _database: None) -> None:
        self.url = self.url.replace("postgres@", f"postgres:{PASSWORD}@")

    async def make_store(self, namespace: str, clock: Clock | None) -> PostgresStore:
        url = await self.gated(namespace)
        store = store_from_url(f"{url}?table={self.table(namespace)}")
        store._clock = clock
        return store


class TestMigration(OnPostgres, MigrationCases):
    """In tables of its own."""

    async def make_without_schema(self, namespace: str) -> PostgresStore:
        self.tables[namespace] = namespace
        return PostgresStore(self.engine, table=namespace, auto_migrate=False)

    async def drop(self, namespace: str) -> None:
        await Place(self.url, self.table(namespace)).drop()


class WithinCases(OnPostgres, WithinRaceCases, KitsWithinCases):
    """In a transaction of a kind, in the store's database or in the one that every server has."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("_BRIEF", "BRIEF"):
            monkeypatch.setattr(desk, name, timedelta(milliseconds=20))

    @abstractmethod
    def within(self, url: str) -> AbstractAsyncContextManager[Any]:
        """A transaction in the database of a URL."""

    def transaction(self, namespace: str) -> AbstractAsyncContextManager[Any]:
        return self.within(self.url)

    def transaction_elsewhere(self) -> AbstractAsyncContextManager[Any]:
        return self.within(with_database(self.url, "postgres"))


class TestWithinAsyncpg(WithinHeldCases, TakeoverTransactionCases, WithinCases):
    """On a connection of asyncpg."""

    @contextlib.asynccontextmanager
    async def within(self, url: str) -> AsyncIterator[Any]:
        async with connected(url) as connection, connection.transaction():
            yield connection


@pytest.mark.slow
class TestWithinAsyncpgPool(WithinCases):
    """On a connection out of a pool of asyncpg."""

    @contextlib.asynccontextmanager
    async def within(self, url: str) -> AsyncIterator[Any]:
        async with asyncpg.create_pool(url, min_size=1, max_size=1) as pool:
            async with pool.acquire() as connection, connection.transaction():
                yield connection


@pytest.mark.slow
class TestWithinAsyncConnection(WithinCases):
    """On a connection of SQLAlchemy."""

    @contextlib.asynccontextmanager
    async def within(self, url: str) -> AsyncIterator[Any]:
        async with engine_of(url).begin() as connection:
            yield connection


class TestWithinAsyncSession(WithinHeldCases, WithinCases):
    """In a session of SQLAlchemy."""

    @contextlib.asynccontextmanager
    async def within(self, url: str) -> AsyncIterator[Any]:
        async with AsyncSession(engine_of(url)) as session, session.begin():
            yield session


class TestCrashPoints(OnPostgres, CrashPointCases):
    """A scheduler is killed at calls of its store and its transport."""

    scale = 0.15


class TestCrowds(OnPostgres, CrowdedLifeCases):
    """Everything goes wrong among crowds, and one name flows."""

    scale = 0.2


class TestRandomLives(OnPostgres, RandomLifeCases):
    """Everything goes wrong, no rule is broken."""

    scale = 0.2


@pytest.mark.slow
class TestLongHistories(OnPostgres, HistoryCases, LineHistoryCases, SeriesHistoryCases):
    """As many histories as the kit has, other ones each time."""
