"""The PostgreSQL store, beside its own statements in a bare loop of asyncpg."""

import itertools
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

import duly
from benchmarks.load import LEASE, chunks, due, fill
from benchmarks.servers import POSTGRES_SETTINGS, Servers
from duly.record import to_record
from duly_postgres import PostgresStore
from duly_postgres.connector import SETTINGS
from duly_postgres.names import Names
from duly_postgres.plugin import store_from_url
from duly_postgres.sql_claiming import TAKE
from duly_postgres.sql_putting import GIVEN_COLUMNS, PUT

__all__ = ["ground"]

_NAMES: Final = Names("scheduled_messages", "public")
_YEAR_1: Final = "0001-01-01 00:00:00+00"
_FLAGS: Final = (True, False)  # suspects count, the disk is waited for
_FROM_THE_START: Final = 20  # claims between two looks from the start of the line
_TABLES: Final = ("scheduled_messages", "scheduled_messages_due", "scheduled_messages_leases")
_INSERT: Final = f"""\
INSERT INTO {{messages}} (due_at, {", ".join(GIVEN_COLUMNS)})
VALUES (now(), {", ".join(f"${n + 1}" for n in range(len(GIVEN_COLUMNS)))})"""  # noqa: S608  # constants
_SIZE: Final = " + ".join(f"pg_total_relation_size('{name}')" for name in _TABLES)


class Postgres:
    """A server of the benchmark's own, which is emptied."""

    name = "PostgreSQL"
    shared = True

    def __init__(self, servers: Servers, version: str) -> None:
        self._servers = servers
        self.settings = f"PostgreSQL {version}, {', '.join(POSTGRES_SETTINGS)}"

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        yield await self._servers.emptied("postgres")

    def store(self, url: str) -> PostgresStore:
        return store_from_url(url)

    async def bare_drain(self, count: int, batch: int) -> float:
        """The statement of claims, each of which settles the batch before; rows as they come."""
        async with self.fresh() as url, _connected(url) as connection:
            await fill(url, due(count))
            take = await connection.prepare(
                _NAMES(TAKE)
                .replace("$4::timestamptz", "$4::text::timestamptz")
                .replace("> $5", "> $5::text::timestamptz")
            )
            tokens, since, start = list[str](), _YEAR_1, time.perf_counter()
            for number in itertools.count():
                token = secrets.token_hex(16)
                rows = await take.fetch(
                    None, tokens, batch, since, since, token, LEASE, "bench", *_FLAGS
                )
                if len(rows) == 1:
                    return count / (time.perf_counter() - start)
                again = number % _FROM_THE_START == 0
                tokens, since = [token], _YEAR_1 if again else rows[-1]["about"][4].isoformat()
        raise AssertionError("unreachable")

    async def single_drain(self, count: int) -> float | None:
        return None

    async def bare_schedule(self, count: int) -> float:
        """The statement that stores, its arrays made before."""
        async with self.fresh() as url, _connected(url) as connection:
            await fill(url, due(1))  # which makes the tables
            calls = [_call(chunk) for chunk in chunks(due(count))]
            put = await connection.prepare(_NAMES(PUT))
            start = time.perf_counter()
            for call in calls:
                await put.fetch(*call)
            return count / (time.perf_counter() - start)

    async def bare_single(self, count: int) -> float | None:
        """A plain insert a message, without its place in the line."""
        async with self.fresh() as url, _connected(url) as connection:
            await fill(url, due(1))  # which makes the tables
            rows = [[column for (column,) in _call([message])[2:]] for message in due(count)]
            insert = await connection.prepare(_NAMES(_INSERT))
            start = time.perf_counter()
            for each in rows:
                await insert.fetch(*each)
            return count / (time.perf_counter() - start)

    async def served(self, seconds: float) -> float | None:
        return await self._servers.served("postgres", seconds)

    async def at_rest(self) -> None:
        """What it does by itself is not known to take much."""

    async def size(self, url: str) -> int | None:
        async with _connected(url) as connection:
            return int(await connection.fetchval(f"SELECT {_SIZE}"))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[Any]:
    """A connection with the planner's settings of the store."""
    connection = await asyncpg.connect(url, server_settings=SETTINGS)
    try:
        yield connection
    finally:
        await connection.close()


def _call(chunk: Sequence[duly.Message]) -> list[Any]:
    """The arguments that store some messages."""
    records = [to_record(message)._asdict() for message in chunk]
    for record, message in zip(records, chunk, strict=True):
        record |= {n: getattr(message, n, None) for n in record if n.endswith("_at")}
    arrays = [[record[name] for record in records] for name in GIVEN_COLUMNS]
    return [None, [0] * len(chunk), *arrays]


@asynccontextmanager
async def ground(servers: Servers) -> AsyncIterator[Postgres]:
    async with _connected(await servers.url("postgres")) as connection:
        version = str(await connection.fetchval("SHOW server_version")).split()[0]
    yield Postgres(servers, version)
