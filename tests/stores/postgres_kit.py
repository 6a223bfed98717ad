"""A table of a test's own, and stores over it."""

import contextlib
import secrets
from collections.abc import AsyncIterator
from string import ascii_lowercase
from typing import Any

import asyncpg
import pytest

from duly.store import Clock
from duly_postgres import PostgresStore
from duly_postgres.names import Names
from duly_postgres.plugin import store_from_url

ENDS = ("", "_due", "_leases", "_version")


class Place:
    """Where a test keeps its messages."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.table = "t_" + "".join(secrets.choice(ascii_lowercase) for _ in range(10))
        self.tables = tuple(f"{self.table}{end}" for end in ENDS)
        self.names = Names(self.table, "public")

    def store(self, *, clock: Clock | None = None, **options: Any) -> PostgresStore:
        """One more store over the table, not open yet."""
        arguments = "&".join(f"{name}={value}" for name, value in options.items())
        store = store_from_url(f"{self.url}?table={self.table}&{arguments}".rstrip("&"))
        store._clock = clock
        return store

    @contextlib.asynccontextmanager
    async def opened(self, **options: Any) -> AsyncIterator[PostgresStore]:
        """One more store, open for the block."""
        store = self.store(**options)
        await store.open()
        try:
            yield store
        finally:
            await store.close()

    @contextlib.asynccontextmanager
    async def connection(self, **options: Any) -> AsyncIterator[asyncpg.Connection]:
        """A connection that has nothing to do with any store."""
        connection = await asyncpg.connect(self.url, **options)
        try:
            yield connection
        finally:
            await connection.close()

    async def execute(self, *statements: str) -> None:
        """Run statements with ``{t}`` for the table."""
        async with self.connection() as connection:
            for statement in statements:
                await connection.execute(statement.replace("{t}", self.table))

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        """The rows of a query with ``{t}`` for the table."""
        async with self.connection() as connection:
            return await connection.fetch(statement.replace("{t}", self.table), *arguments)

    async def drop(self) -> None:
        """Remove all of it."""
        await self.execute(
            f"DROP TABLE IF EXISTS {', '.join(self.tables)}",
            f"DROP FUNCTION IF EXISTS {self.table}_schedule",
        )


@pytest.fixture
async def place(postgres_url: str) -> AsyncIterator[Place]:
    place = Place(postgres_url)
    yield place
    await place.drop()
