"""Streams and channels of clusters, and of a server that sentinels appoint."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from tests.servers.redis_cluster import RedisCluster as OwnCluster
from tests.servers.redis_cluster import redis_cluster_url
from tests.servers.redis_sentinel import NAME, redis_sentinel_url
from tests.transports.envelopes import envelope
from tests.transports.redis_harness import Channels, OnRedis, Streams

from duly import TransportError, TransportUnavailable
from duly.testing.transports import BatchCases, DeduplicationCases, ReceiptCases, TransportSuite
from duly.testing.transports.publishing import PublishCases, RepeatCases
from duly_redis_streams import StreamTransport
from duly_redis_streams.plugin import stream_from_url

__all__ = ["redis_cluster_url", "redis_sentinel_url"]  # fixtures are found by their names

PATIENCE = 20.0  # seconds


class InCluster(OnRedis):
    scale = 0.2
    no_gate = "nodes tell their own addresses"
    no_outages = "nodes are killed by tests of their own, below"

    @pytest.fixture(autouse=True)
    def _where(self, redis_cluster_url: str) -> None:
        self.url = redis_cluster_url.removeprefix("redis+cluster")
        self.location = f"{self.url}?topology=cluster"

    def client(self) -> RedisCluster:
        addresses = [each.split(":") for each in self.url.removeprefix("://").split(",")]
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in addresses])


class TestStreamsInCluster(InCluster, Streams, BatchCases, ReceiptCases, TransportSuite):
    pass


@pytest.mark.slow
class TestDeduplicatedStreamsInCluster(
    InCluster, Streams, DeduplicationCases, BatchCases, RepeatCases
):
    options = "&deduplicate=60"


@pytest.mark.slow
class TestChannelsInCluster(InCluster, Channels, BatchCases, PublishCases):
    def client(self) -> Redis:  # type: ignore[override]  # every node hears of all messages
        return Redis.from_url(f"redis{self.url.rpartition(',')[0].rpartition(',')[0]}")


class UnderSentinel(OnRedis):
    scale = 0.2
    no_gate = "sentinels tell the address of the server"
    no_outages = "servers are killed by tests of their own, below"

    @pytest.fixture(autouse=True)
    def _where(self, redis_sentinel_url: str) -> None:
        self.url = redis_sentinel_url.removeprefix("redis+sentinel").removesuffix(f"/{NAME}/0")
        self.location = f"{self.url}/0?topology=sentinel&master={NAME}"

    def client(self) -> Redis:
        addresses = [each.split(":") for each in self.url.removeprefix("://").split(",")]
        found: Redis = Sentinel([(host, int(port)) for host, port in addresses]).master_for(NAME)
        return found


@pytest.mark.slow
class TestStreamsUnderSentinel(UnderSentinel, Streams, BatchCases, ReceiptCases, TransportSuite):
    pass


@pytest.mark.slow
class TestChannelsUnderSentinel(UnderSentinel, Channels, BatchCases, PublishCases):
    pass


# --- servers that go


async def accepted(transport: StreamTransport, name: str) -> set[type[Exception]]:
    """Publish until it is accepted; what was raised until then."""
    raised: set[type[Exception]] = set()
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await transport.publish(envelope(name))
            except TransportError as error:
                raised.add(type(error))
                await asyncio.sleep(0.05)
            else:
                return raised


@pytest.fixture(scope="module")
def cluster() -> Iterator[OwnCluster]:
    with OwnCluster(replicas=True) as cluster:
        yield cluster


@pytest.fixture
async def transport(cluster: OwnCluster) -> AsyncIterator[StreamTransport]:
    transport = stream_from_url(f"redis+stream://{cluster.addresses}?topology=cluster&timeout=5")
    await transport.open()
    yield transport
    await transport.close()


async def test_one_node_of_a_cluster_is_not_the_cluster(cluster, transport):
    names = [f"event-{number}" for number in range(20)]
    assert await transport.check() == []
    await asyncio.gather(*(transport.publish(envelope(name)) for name in names))
    victim = cluster.primary_of(names[0])
    hit = {name for name in names if cluster.primary_of(name) is victim}
    assert 0 < len(hit) < len(names)
    victim.kill()
    outcomes = await transport.publish_many([envelope(name) for name in names])
    for name, outcome in zip(names, outcomes, strict=True):
        assert isinstance(outcome, TransportError) == (name in hit), outcome
        assert not isinstance(outcome, TransportUnavailable)
    # Its replica takes over, and is found.
    raised = [await accepted(transport, name) for name in names]
    assert set().union(*raised) <= {TransportError, TransportUnavailable}
    assert all(
        isinstance(each, str) for each in await transport.publish_many(list(map(envelope, names)))
    )
    assert await transport.check() == []


async def test_all_of_a_cluster_is_gone(cluster, transport):
    await accepted(transport, "a")
    for node in cluster.nodes:
        node.kill()
    for _ in range(2):
        outcomes = await transport.publish_many([envelope("a"), envelope("b")])
        assert [type(each) for each in outcomes] == [TransportUnavailable] * 2
    assert await transport.check()
    await transport.close()
    with pytest.raises(TransportUnavailable):
        await transport.open()
    for node in cluster.nodes:
        node.start()
    while True:
        try:
            await transport.open()
        except TransportUnavailable:
            await asyncio.sleep(0.05)
        else:
            break
    await accepted(transport, "a")
    assert await transport.check() == []
