"""How much a server is asked for in a while; what is asked to know that is not counted."""

import asyncio
import contextlib
from typing import Final

import asyncpg
import redis.asyncio

__all__ = ["commands", "transactions"]

_ELSEWHERE: Final = "template1"  # a database that nobody works in
_TRANSACTIONS: Final = (
    "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'"
)
_RELOAD: Final = "SELECT pg_reload_conf()"
_TOLD: Final = 11.0  # seconds; a connection that is idle tells what it did after 10


async def commands(url: str, seconds: float) -> float:
    """Commands a second that clients send to a Redis; what a script does inside is one of them."""
    count = 0
    client = redis.asyncio.Redis.from_url(url, socket_timeout=None)  # nothing may come for long
    async with client, client.monitor() as monitor:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for command in monitor.listen():
                    count += command["client_type"] != "lua"
    return count / seconds


async def transactions(url: str, seconds: float) -> float:
    """Transactions a second of a PostgreSQL's first database, asked for from another one.

    Meanwhile it vacuums nothing by itself, which takes transactions too.
    """
    connection = await asyncpg.connect(url, database=_ELSEWHERE)
    try:
        await connection.execute("ALTER SYSTEM SET autovacuum = off")
        await connection.execute(_RELOAD)
        await asyncio.sleep(_TOLD)
        before = await connection.fetchval(_TRANSACTIONS)
        await asyncio.sleep(seconds)
        return float(await connection.fetchval(_TRANSACTIONS) - before) / seconds
    finally:
        await connection.execute("ALTER SYSTEM RESET autovacuum")
        await connection.execute(_RELOAD)
        await connection.close()
