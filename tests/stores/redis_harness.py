"""How the kit gets Redis stores over a namespace, looks into their keys and clears them away."""

from collections.abc import Collection, Sequence
from typing import ClassVar

import msgspec
import pytest
from redis.asyncio import Redis, RedisCluster

from duly.store import Clock
from duly.testing.stores import StoreHarness
from duly.url import parse
from duly_redis import RedisStore
from duly_redis.calls import close_client
from duly_redis.clients import client_of
from duly_redis.keys import Shard, home, shards
from duly_redis.plugin import store_from_url


def prefix_of(namespace: str) -> str:
    """A key prefix that nobody else has."""
    return f"duly-test-{namespace}:"


class RedisHarness(StoreHarness):
    """Stores over one client of the case's own, as a user may make them."""

    url: str
    shards: ClassVar[int] = 1

    @pytest.fixture(autouse=True)
    def _no_client(self) -> None:
        self._client: Redis | RedisCluster | None = None
        self._namespaces = set[str]()

    def client_for(self, namespace: str) -> Redis | RedisCluster:
        """The client that all stores share, until the last of these namespaces is dropped."""
        self._namespaces.add(namespace)
        return self.client()

    def client(self) -> Redis | RedisCluster:
        """The client, made when it is first needed and closed behind the case."""
        if self._client is None:
            self._client = client_of(parse(self.url), {})()
        return self._client

    async def make_store(self, namespace: str, clock: Clock | None) -> RedisStore:
        return RedisStore(
            self.client_for(namespace),
            key_prefix=prefix_of(namespace),
            shards=self.shards,
            clock=clock,
        )

    async def keys(self, namespace: str) -> Sequence[str]:
        """All keys of a namespace."""
        pattern = f"{prefix_of(namespace)}*"
        return sorted([key.decode() async for key in self.client().scan_iter(pattern, 1000)])

    async def drop(self, namespace: str) -> None:
        for key in await self.keys(namespace):
            await self.client().unlink(key)
        self._namespaces.discard(namespace)
        if not self._namespaces:  # else it is in use, and would open again for those who use it
            client, self._client = self.client(), None
            await close_client(client)

    async def leftovers(self, namespace: str) -> Collection[str]:
        always = ("meta", "numbers", "floors")
        return [key for key in await self.keys(namespace) if not key.endswith(always)]

    def shard(self, namespace: str, id: str) -> Shard:
        """Where a message is."""
        return shards(prefix_of(namespace), self.shards)[home(id, self.shards)]

    async def rewrite(self, namespace: str, id: str, packed: bytes) -> None:
        """Put another record in the place of what is kept under an id."""
        key = self.shard(namespace, id).key("messages")
        value = await self.client().hget(key, id)
        assert isinstance(value, bytes)
        line, creation, _ = value.split(b"\n", 2)
        await self.client().hset(key, id, b"\n".join([line, creation, packed]))

    async def damage(self, namespace: str, id: str) -> None:
        await self.rewrite(namespace, id, b"\xc1 no record")

    async def age(self, namespace: str, id: str) -> None:
        await self.rewrite(namespace, id, msgspec.msgpack.encode([99, "what", "is", "this"]))


class RedisURLHarness(RedisHarness):
    """Stores made from a URL, each with a client of its own."""

    async def make_store(self, namespace: str, clock: Clock | None) -> RedisStore:
        store = store_from_url(f"{self.url}?key_prefix={prefix_of(namespace)}&shards={self.shards}")
        store._clock = clock
        return store
