"""What the oldest, the usual and the youngest server say in their own ways is the same to us."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RELEASES, RedisServer
from tests.servers.redis_cluster import RedisCluster

from duly import Client, Message, StoreError, StoreUnavailable, after
from duly.store import Group, Settle
from duly_redis import RedisStore
from duly_redis.keys import meta_key

MINUTE = timedelta(minutes=1)
README = (
    "reset", "on", ">secret", "~shop:*", "resetchannels", "&shop:*", "-@all", "+@read", "+@write", "+@scripting",
    "+@pubsub", "+@connection", "+info", "+time",
)  # fmt: skip


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(port=server.port) as client:
        await client.flushall()
        await client.script_flush()
        yield client


@pytest.fixture
async def store(client: Redis) -> AsyncIterator[RedisStore]:
    store = RedisStore(client, key_prefix="shop:")
    await store.open()
    yield store
    await store.close()


def message(id: str) -> Message:
    return Message("event", id=id, scheduled_at=after(seconds=-60))


class TestStates:
    """States that pass are told as such by every script that writes, and nothing is lost."""

    async def tell(self, store: RedisStore, said: str, *, while_full: bool = False) -> None:
        """What waits stays, what is held stays held; only what makes room goes on when it is full."""
        with pytest.raises(StoreUnavailable, match=said):
            await store.put([Group([message("new")])])
        if not while_full:
            with pytest.raises(StoreUnavailable, match=said):
                await store.cancel(["a"])
            with pytest.raises(StoreUnavailable, match=said):
                await store.claim(limit=1, lease=MINUTE, owner="o")

    async def finish(self, store: RedisStore) -> None:
        batch = await store.claim(limit=5, lease=MINUTE, owner="o")
        assert [claim.message.id for claim in batch.claims] == ["a", "b"]
        assert list(await store.settle([Settle(batch.token or "")])) == [True]

    async def test_full(self, store: RedisStore, client: Redis) -> None:
        await store.put([Group([message("a"), message("b")])])
        try:
            await client.config_set("maxmemory", "1")
            await self.tell(store, "maxmemory", while_full=True)
            await RedisStore(client, key_prefix="shop:").open()
            await self.finish(store)
        finally:
            await client.config_set("maxmemory", "0")

    async def test_too_few_replicas(self, store: RedisStore, client: Redis) -> None:
        await store.put([Group([message("a"), message("b")])])
        try:
            await client.config_set("min-replicas-to-write", "1")
            await self.tell(store, "NOREPLICAS")
        finally:
            await client.config_set("min-replicas-to-write", "0")
        await self.finish(store)

    async def test_a_replica_by_now(
        self, store: RedisStore, client: Redis, server: RedisServer
    ) -> None:
        await store.put([Group([message("a"), message("b")])])
        try:
            await client.replicaof("127.0.0.1", str(server.port))  # of itself: never in step
            await self.tell(store, "READONLY|read only")
        finally:
            await client.replicaof("NO", "ONE")
        await self.finish(store)


async def test_keys_of_somebody_else(store: RedisStore, client: Redis) -> None:
    await client.set("shop:{shop:}leases", "x")
    await store.put([Group([message("a")])])
    with pytest.raises(StoreError, match="something else uses keys with this prefix"):
        await store.claim(limit=5, lease=MINUTE, owner="o")
    await client.delete("shop:{shop:}leases")
    assert len((await store.claim(limit=5, lease=MINUTE, owner="o")).claims) == 1


class TestRights:
    async def open(self, server: RedisServer, client: Redis, *more: str) -> None:
        await client.execute_command("ACL", "SETUSER", "duly", *README, *more)
        async with Client(
            f"redis://duly:secret@127.0.0.1:{server.port}/0?key_prefix=shop:"
        ) as door:
            await door.schedule(Message("event", scheduled_at=after(hours=1)))

    async def test_those_of_the_readme_are_enough(self, server: RedisServer, client: Redis) -> None:
        await self.open(server, client)

    @pytest.mark.parametrize(
        ("rules", "lacks"),
        [
            (["resetchannels"], ["&shop:{shop:}wake"]),
            (["-zadd", "-time", "-sadd"], ["+time", "+zadd", "+sadd"]),
            (["-publish", "-zrange"], ["+publish", "+zrange"]),
            (
                ["-@all", "+@connection", "+info", "+eval"],
                ["+hdel", "+zmscore", "+incrby", "+time"],
            ),
            (["-eval"], ["'eval' command"]),
            (["-evalsha"], ["'evalsha' command"]),
            (["-subscribe"], ["'subscribe' command"]),
            (["-info"], ["'info' command"]),
            (["resetkeys", "~shop:{shop:}due"], ["key"]),
        ],
    )
    async def test_what_is_missing_is_named(
        self, server: RedisServer, client: Redis, rules: list[str], lacks: list[str]
    ) -> None:
        with pytest.raises(StoreError, match="a right that the user needs") as caught:
            await self.open(server, client, *rules)
        assert not isinstance(caught.value, StoreUnavailable)
        for each in lacks:
            assert each in str(caught.value)
        assert not await client.exists("shop:{shop:}messages"), "told before anything is stored"

    async def test_to_look_leaves_nothing(self, store: RedisStore, client: Redis) -> None:
        assert [key async for key in client.scan_iter("*")] == [meta_key("shop:").encode()]


async def test_a_right_that_a_cluster_needs() -> None:
    with RedisCluster() as cluster:
        url = cluster.url.replace("://", "://duly:secret@") + "?key_prefix=shop:"
        for node in cluster.nodes:
            node.ask("ACL", "SETUSER", "duly", *README)
        with pytest.raises(StoreError, match="a right that the user needs: .*cluster"):
            async with Client(url):
                pass
        for node in cluster.nodes:
            node.ask("ACL", "SETUSER", "duly", "+cluster|slots")
        async with Client(url) as door:
            await door.schedule(Message("event", scheduled_at=after(hours=1)))
