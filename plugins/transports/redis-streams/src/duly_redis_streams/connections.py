"""What redis-py does not offer for the connections of a client."""

import contextlib
from collections.abc import Iterator
from typing import Any

from redis.asyncio import Redis, RedisCluster, SSLConnection

from duly_redis_streams.errors import FAILURES

__all__ = ["hang_up", "read_files_anew"]


async def hang_up(client: Redis | RedisCluster) -> None:
    """Close all connections of a client at once; what is in flight fails."""
    # Closed in order, each would wait until the server has taken what is written, and would be left
    # behind if it does not. What was accepted has been answered.
    for connection in _connections(client):
        if (writer := connection._writer) is not None:  # noqa: SLF001  # there is no other way
            writer.transport.abort()
    with contextlib.suppress(*FAILURES):  # they are closed
        await client.aclose()


def read_files_anew(client: Redis | RedisCluster) -> None:
    """Let each connection read its certificates again before it connects again."""
    for connection in _connections(client):
        if isinstance(connection, SSLConnection):
            connection.ssl_context.context = None


def _connections(client: Redis | RedisCluster) -> Iterator[Any]:
    if isinstance(client, RedisCluster):
        for node in client.get_nodes():
            yield from node._connections  # noqa: SLF001  # as above
    else:
        pool: Any = client.connection_pool
        yield from pool._available_connections  # noqa: SLF001  # as above
        yield from pool._in_use_connections  # noqa: SLF001  # as above
