"""How the kit gets Redis stores over a namespace, looks into their keys and clears them away."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

import msgspec
import redis.asyncio

from duly.store import Clock
from duly.testing.stores import StoreHarness
from duly_redis import RedisStore
from duly_redis.keys import Shard, home, shards
from duly_redis.plugin import store_from_url


def prefix_of(namespace: str) -> str:
    """A key prefix that nobody else has."""
    return f"duly-test-{namespace}:"


class RedisHarness(StoreHarness):
    """Stores made from a URL, each with a client of its own."""

    url: str
    shards: ClassVar[int] = 1

    async def make_store(self, namespace: str, clock: Clock | None) -> RedisStore:
        store = store_from_url(f"{self.url}?key_prefix={prefix_of(namespace)}&shards={self.shards}")
        store._clock = clock
        return store

    @asynccontextmanager
    async def client(self) -> AsyncIterator[redis.asyncio.Redis | redis.asyncio.RedisCluster]:
        """A client beside the stores."""
        store = store_from_url(self.url)
        store._calls.open()
        try:
            yield store._calls.client
        finally:
            await store._calls.close()

    async def keys(self, namespace: str) -> Sequence[str]:
        """All keys of a namespace."""
        async with self.client() as client:
            found = [key async for key in client.scan_iter(f"{prefix_of(namespace)}*", 1000)]
        return sorted(key.decode() for key in found)

    async def drop(self, namespace: str) -> None:
        async with self.client() as client:
            for key in await self.keys(namespace):
                await client.unlink(key)

    async def leftovers(self, namespace: str) -> Collection[str]:
        always = ("meta", "numbers")
        return [key for key in await self.keys(namespace) if not key.endswith(always)]

    def shard(self, namespace: str, id: str) -> Shard:
        """Where a message is."""
        return shards(prefix_of(namespace), self.shards)[home(id, self.shards)]

    async def rewrite(self, namespace: str, id: str, packed: bytes) -> None:
        """Put another record in the place of what is kept under an id."""
        key = self.shard(namespace, id).key("messages")
        async with self.client() as client:
            value = await client.hget(key, id)
            assert isinstance(value, bytes)
            line, creation, _ = value.split(b"\n", 2)
            await client.hset(key, id, b"\n".join([line, creation, packed]))

    async def damage(self, namespace: str, id: str) -> None:
        await self.rewrite(namespace, id, b"\xc1 no record")

    async def age(self, namespace: str, id: str) -> None:
        await self.rewrite(namespace, id, msgspec.msgpack.encode([99, "what", "is", "this"]))
