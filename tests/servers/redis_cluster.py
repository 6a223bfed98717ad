"""A Redis Cluster of the tests' own, put together without redis-cli."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import pytest
from tests.servers.process import free_port, wait_until
from tests.servers.redis import RedisServer, lines

SLOTS: Final = 16_384
NODE_TIMEOUT: Final = 1500  # milliseconds until a node that is silent counts as failing


class ClusterNode(RedisServer):
    """One of a cluster; its bus has a port of its own."""

    def __init__(self, *settings: str) -> None:
        super().__init__(
            "--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT), *settings
        )
        self._bus = free_port()

    def command(self) -> Sequence[str | Path]:
        return [*super().command(), "--cluster-port", str(self._bus)]

    @property
    def id(self) -> str:
        """How the cluster knows it."""
        return str(self.ask("CLUSTER", "MYID"))

    def meet(self, other: "ClusterNode") -> None:
        """Make the acquaintance of another node."""
        self.ask("CLUSTER", "MEET", "127.0.0.1", other.port, other._bus)


class RedisCluster:
    """Three primaries and, if wanted, a replica of each; ``settings`` hold for every node.

    A primary that is killed is succeeded by its replica after some 3.4 seconds; without replicas
    the cluster is down until the primary is started again.
    """

    def __init__(self, *settings: str, replicas: bool = False) -> None:
        self.primaries = [ClusterNode(*settings) for _ in range(3)]
        self.replicas = [ClusterNode(*settings) for _ in range(3 if replicas else 0)]

    @property
    def nodes(self) -> Sequence[ClusterNode]:
        """Primaries, then replicas, in the same order."""
        return [*self.primaries, *self.replicas]

    @property
    def addresses(self) -> str:
        """All nodes, as a URL wants them."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    @property
    def url(self) -> str:
        """Its address as a store wants it."""
        return f"redis+cluster://{self.addresses}"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start all nodes and return when every slot is served and every replica has linked."""
        for node in self.nodes:
            node.start()
        share = SLOTS // len(self.primaries) + 1
        for number, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, node in enumerate(self.primaries):
            last = min(SLOTS, (number + 1) * share) - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * share, last)
        for node in self.nodes[1:]:
            self.nodes[0].meet(node)
        wait_until(lambda: all(self._knows_all(node) for node in self.nodes))
        for primary, replica in zip(self.primaries, self.replicas, strict=False):
            replica.ask("CLUSTER", "REPLICATE", primary.id)
        wait_until(lambda: all(map(_serves, self.nodes)))
        # A primary that dies before its replica has linked is never succeeded.
        wait_until(lambda: all(map(_has_linked, self.replicas)))

    def close(self) -> None:
        """End all nodes, however they are doing."""
        for node in self.nodes:
            node.close()

    def primary_of(self, key: str) -> ClusterNode:
        """Who serves a key at the moment, of those that are alive."""
        for node in self.nodes:
            if not node.alive:
                continue
            slot = node.ask("CLUSTER", "KEYSLOT", key)
            for first, last, (_, port, *_more), *_replicas in node.ask("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    return next(each for each in self.nodes if each.port == port)
        raise AssertionError(f"nobody serves {key}")

    def _knows_all(self, node: ClusterNode) -> bool:
        return lines(node.ask("CLUSTER", "INFO"))["cluster_known_nodes"] == str(len(self.nodes))


def _serves(node: ClusterNode) -> bool:
    return lines(node.ask("CLUSTER", "INFO"))["cluster_state"] == "ok"


def _has_linked(node: ClusterNode) -> bool:
    return lines(node.ask("INFO", "replication")).get("master_link_status") == "up"


@pytest.fixture(scope="session")
def redis_cluster_url() -> Iterator[str]:
    """A cluster of three primaries to share with others: keep to key prefixes of your own."""
    with RedisCluster() as cluster:
        yield cluster.url
