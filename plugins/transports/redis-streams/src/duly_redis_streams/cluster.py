"""What a cluster needs beyond a single server: which node gets what, and which still answer."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from redis import exceptions
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode

from duly_redis_streams.errors import FAILURES

__all__ = ["alive", "by_node", "look_again"]

_LOOKING: Final = 2.0  # seconds


async def by_node(client: RedisCluster, keys: Sequence[bytes | None]) -> list[list[int]]:
    """The positions of the keys, grouped by the node that serves them; None is for any node."""
    _ = await client.initialize()
    shares: defaultdict[str | None, list[int]] = defaultdict(list)
    for place, key in enumerate(keys):
        node = _node(client, key)
        shares[node.name if node else None].append(place)
    return list(shares.values())


async def look_again(client: RedisCluster, key: bytes | None, error: Exception) -> None:
    """Make the client learn what has changed when a node did not answer."""
    with contextlib.suppress(*FAILURES):
        if isinstance(error, exceptions.SlotNotCoveredError):
            await client.nodes_manager.initialize()
        elif (node := _node(client, key)) is not None:
            # A failed pipeline leaves its node's other connections and the table of slots as they
            # are; a failed command does not.
            await client.execute_command("PING", target_nodes=[node])


async def alive(client: RedisCluster) -> bool:
    """Whether any node says that the cluster works."""
    try:
        _ = await client.initialize()
    except FAILURES:
        return False
    looks = [asyncio.ensure_future(_works(client, node)) for node in client.get_nodes()]
    if not looks:
        return False
    await asyncio.wait(looks, timeout=_LOOKING)
    for look in looks:
        look.cancel()
    return True in await asyncio.gather(*looks, return_exceptions=True)


def _node(client: RedisCluster, key: bytes | None) -> ClusterNode | None:
    if key is None:
        return client.get_default_node()
    try:
        return client.get_node_from_key(key)  # type: ignore[arg-type]  # it encodes text alone
    except exceptions.SlotNotCoveredError:
        return None


async def _works(client: RedisCluster, node: ClusterNode) -> bool:
    facts = await client.execute_command("CLUSTER INFO", target_nodes=[node])
    return bool(facts["cluster_state"] == "ok")
