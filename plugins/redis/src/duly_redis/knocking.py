"""Asks whether the server of a shard is back, without disturbing calls of other shards."""

import asyncio
import contextlib
from typing import Final

from redis.asyncio import Redis, RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.exceptions import MovedError, RedisError

from duly_redis.errors import translated
from duly_redis.keys import Shard

__all__ = ["knock"]

_ANSWER: Final = 1.0  # seconds that a server has for its answer


async def knock(client: Redis | RedisCluster, shard: Shard) -> None:
    """Return when the server of a shard answers, or another has taken its place.

    In a Cluster that server is asked directly: the driver would connect to all servers anew because
    of trouble with one.

    Raises:
        StoreUnavailable: it does not.
        StoreError: it refuses.
    """
    key = f"{shard.base}due"
    with translated():
        if not isinstance(client, RedisCluster):
            async with asyncio.timeout(_ANSWER):
                await client.exists(key)
            return
        node = client.get_node_from_key(key)
        assert node is not None, "every slot has a primary"  # noqa: S101  # for the type checker
        try:
            await _ask(node, key)
        except MovedError:
            pass  # it answers, and the driver follows
        except (RedisError, OSError):
            if not await _is_succeeded(client, node, key):
                raise


async def _is_succeeded(client: RedisCluster, node: ClusterNode, key: str) -> bool:
    """Whether another server has a key by now; then the driver is told."""
    for other in client.get_primaries():
        if other is node:
            continue
        try:
            await _ask(other, key)
        except MovedError as moved:
            if (moved.host, moved.port) == (node.host, node.port):
                return False
        except (RedisError, OSError):
            continue
        with contextlib.suppress(TimeoutError):  # it may ask the one that hangs: then next time
            async with asyncio.timeout(_ANSWER):
                await client.nodes_manager.initialize()
        successor = client.get_node_from_key(key)
        return successor is not None and successor.name != node.name
    return False


async def _ask(node: ClusterNode, key: str) -> None:
    async with asyncio.timeout(_ANSWER):
        await node.execute_command("EXISTS", key)
