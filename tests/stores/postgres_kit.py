"""A table of a test's own, and stores over it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from string import ascii_lowercase
from typing import Any

import asyncpg
import pytest

from duly import Filter, Message, StoreError, after
from duly.store import Clock, Group
from duly_postgres import PostgresStore
from duly_postgres.names import Names
from duly_postgres.plugin import store_from_url

START = datetime(2030, 1, 1, 12, 30, 0, 123457, tzinfo=UTC)
ENDS = ("", "_due", "_aside", "_leases", "_floors", "_notes", "_version")


class Place:
    """Where a test keeps its messages."""

    def __init__(self, url: str, table: str | None = None) -> None:
        self.url = url
        self.table = table or "t_" + "".join(secrets.choice(ascii_lowercase) for _ in range(10))
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
            f"DROP FUNCTION IF EXISTS {self.table}_schedule, {self.table}_moved",
        )


async def refusal(url: str, kind: type[StoreError] = StoreError) -> str:
    """What is said on opening the store of a URL."""
    with pytest.raises(StoreError) as caught:
        await store_from_url(url).open()
    assert type(caught.value) is kind
    assert caught.value.__cause__ is None or not isinstance(caught.value.__cause__, StoreError)
    return str(caught.value)


def group(*ids: str, replace: bool = False, at: datetime = START) -> Group:
    """Messages of these ids."""
    return Group([Message("event", id=id, scheduled_at=at) for id in ids], replace)


async def ids(store: PostgresStore) -> list[str]:
    """Of all that is stored."""
    return [message.id for message in await store.list(Filter())]


def due(*ids: str) -> Group:
    """Messages of these ids that are due."""
    return group(*ids, at=after(seconds=-1))


async def cut(place: Place) -> int:
    """End all connections of stores, and see them end; how many there were."""
    ended = await place.fetch(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'duly' "
        "AND datname = current_database()"
    )
    return len(ended)


async def until_listening(place: Place) -> None:
    for _ in range(500):
        if await place.fetch(
            "SELECT FROM pg_stat_activity WHERE query LIKE 'LISTEN%' "
            "AND datname = current_database()"
        ):
            return
        await asyncio.sleep(0.02)
    pytest.fail("nobody listens")


@pytest.fixture
async def place(postgres_url: str) -> AsyncIterator[Place]:
    place = Place(postgres_url)
    yield place
    await place.drop()
