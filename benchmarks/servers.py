"""Servers of the benchmark's own, which nobody else uses: what they served can be counted."""

import asyncio
from typing import Final, Self

import asyncpg
import pytest
import redis.asyncio
from tests.servers.postgres import PostgresServer
from tests.servers.process import Server
from tests.servers.redis import RedisServer

from benchmarks.counting import commands, transactions

__all__ = ["POSTGRES_SETTINGS", "REDIS_SETTINGS", "Servers", "Unavailable"]

REDIS_SETTINGS: Final = ("--appendonly", "yes", "--appendfsync", "everysec")
POSTGRES_SETTINGS: Final = ("fsync=on", "synchronous_commit=on", "shared_buffers=512MB")

_EMPTY: Final = "DROP SCHEMA public CASCADE; CREATE SCHEMA public"


class Unavailable(Exception):
    """There is no such server here; the text says what to install."""


class Servers:
    """One Redis and one PostgreSQL, started when they are first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, Server] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._running.values():
            await asyncio.to_thread(server.close)

    async def url(self, kind: str) -> str:
        """The address of the ``redis`` or ``postgres``.

        Raises:
            Unavailable: its program is not here.
        """
        server = self._running.get(kind)
        if server is None:
            try:
                server = (
                    RedisServer(*REDIS_SETTINGS)
                    if kind == "redis"
                    else PostgresServer(*POSTGRES_SETTINGS)
                )
            except pytest.skip.Exception as error:
                raise Unavailable(str(error)) from None
            await asyncio.to_thread(server.start)
            self._running[kind] = server
        assert isinstance(server, RedisServer | PostgresServer)
        return server.url

    async def emptied(self, kind: str) -> str:
        """Its address, after everything in it was removed."""
        url = await self.url(kind)
        if kind == "redis":
            async with redis.asyncio.Redis.from_url(url) as client:
                await client.flushall()
        else:
            connection = await asyncpg.connect(url)
            await connection.execute(_EMPTY)
            await connection.close()
        return url

    async def served(self, kind: str, seconds: float) -> float:
        """Commands or transactions a second that it serves in the next so many seconds."""
        count = commands if kind == "redis" else transactions
        return await count(await self.url(kind), seconds)
