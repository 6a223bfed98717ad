"""Where a message is, as each release of the server tells it, and in which shard."""

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from tests.servers.redis import OTHERS, RedisServer
from tests.servers.redis_cluster import redis_cluster_url
from tests.stores.redis_harness import RedisHarness, prefix_of
from tests.stores.redis_scene import MINUTE, Scene

from duly import State, StoreError, Whereabouts
from duly.store import Bury, Group, Release, Settle, Settlement
from duly.testing.stores import Bench, WhereCases
from duly.testing.stores.bench import ids
from duly.testing.stores.situations import HOUR
from duly_redis import RedisStore
from duly_redis.keys import home, shards

__all__ = ["redis_cluster_url"]

pytest_plugins = ["duly.testing"]


@pytest.fixture(scope="module", params=OTHERS)
def release_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with RedisServer(release=request.param) as server:
        yield server.url


class TestReleases(RedisHarness, WhereCases):
    """The oldest and the youngest server; the usual one goes through all cases elsewhere."""

    scale = 0.3

    @pytest.fixture(autouse=True)
    def _server(self, release_url: str) -> None:
        self.url = release_url


class TestShards(RedisHarness):
    """Each message is looked for in the shard that it is in, and its lease there too."""

    scale = 0.1
    shards = 3

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url: str) -> None:
        self.url = redis_cluster_url

    async def put_in_each(self, desk: Bench, count: int) -> Sequence[Sequence[str]]:
        """So many messages, due, in each shard; their ids by shard."""
        found: list[list[str]] = [[] for _ in range(self.shards)]
        for number in range(200):
            mine = found[home(f"m{number}", self.shards)]
            if len(mine) < count:
                mine.append(f"m{number}")
        groups = [Group([desk.message(id)]) for mine in found for id in mine]
        assert await desk.outcomes(*groups) == [None] * count * self.shards
        return found

    async def where(self, desk: Bench, id: str) -> Whereabouts:
        assert isinstance(desk.store, RedisStore)
        found = await desk.store.where(id)
        assert found is not None
        return found

    async def test_each_shard_knows_its_own(self, desk: Bench) -> None:
        by_shard = await self.put_in_each(desk, 2)
        owners, other = dict[str, str](), await desk.another()
        for number in range(self.shards):
            batch = await other.claim(limit=1, lease=HOUR, owner=f"host:{number}")
            owners |= dict.fromkeys(ids(batch), f"host:{number}")
        assert len({home(id, self.shards) for id in owners}) == self.shards
        for id in (id for mine in by_shard for id in mine):
            found = await self.where(desk, id)
            assert found.owner == owners.get(id)
            assert found.state is (State.CLAIMED if id in owners else State.SCHEDULED)
            assert (found.lease_ends_at, found.due_at) == (
                (desk.start + HOUR, None) if id in owners else (None, desk.start)
            )

    async def test_one_that_does_not_answer_is_asked_for_its_own_alone(self, desk: Bench) -> None:
        by_shard = await self.put_in_each(desk, 1)
        for _ in by_shard:
            await desk.claim()
        ends = shards(prefix_of(desk.namespace), self.shards)[0].key("ends")
        await self.client().rename(ends, ends + b"-kept")
        await self.client().set(ends, "no sorted set")
        for number, (id,) in enumerate(by_shard):
            if number:
                assert (await self.where(desk, id)).owner == "host:1:case"
            else:
                with pytest.raises(StoreError, match="something else uses keys"):
                    await self.where(desk, id)
        await self.client().rename(ends + b"-kept", ends)


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """A server of its own, never one that others use: a scene empties it, and counts are reset."""
    with RedisServer() as server:
        yield server


@pytest.fixture
async def scene(server: RedisServer) -> AsyncIterator[Scene]:
    async with Redis(port=server.port) as client, Scene(client) as scene:
        yield scene


async def test_it_takes_one_script(scene: Scene) -> None:
    await scene.put(*[scene.message(f"m{number}") for number in range(50)])
    for _ in range(5):
        await scene.claim(10)
    await scene.store.where("m0")  # after which the server knows the script
    await scene.client.config_resetstat()
    for number in range(50):
        found = await scene.store.where(f"m{number}")
        assert found is not None
        assert found.state is State.CLAIMED
    asked = await scene.client.info("commandstats")
    assert asked["cmdstat_evalsha"]["calls"] == 50
    assert {"cmdstat_hgetall", "cmdstat_hvals", "cmdstat_hscan"}.isdisjoint(asked)


@pytest.mark.parametrize("place", ["ends", "leases"])
async def test_a_lease_that_somebody_deletes_is_nobodys(scene: Scene, place: str) -> None:
    await scene.put(scene.message("a"))
    await scene.claim()
    await scene.client.delete(f"scheduler:{{scheduler:}}{place}")
    assert await scene.store.where("a") == Whereabouts(state=State.CLAIMED)


async def test_what_replaces_a_claimed_one_is_nobodys(scene: Scene) -> None:
    """Although the lease still has the one before under the same id."""
    await scene.put(scene.message("a"))
    await scene.claim()
    await scene.put(scene.message("a", payload=b"new"), replace=True)
    at = scene.clock()
    assert await scene.store.where("a") == Whereabouts(state=State.SCHEDULED, due_at=at)
    await scene.store.claim(limit=1, lease=MINUTE, owner="other")
    found = await scene.store.where("a")
    assert found is not None
    assert found.owner == "other"


@pytest.mark.parametrize("how", ["delivered", "released", "buried"])
async def test_a_settlement_that_fails_halfway(scene: Scene, how: str) -> None:
    """What has its place already is told to be there, and the rest to be still claimed."""
    number, failed = 0, True
    while failed:
        number += 1
        await scene.client.flushdb()
        await scene.put(scene.message("a"), scene.message("b"))
        batch = await scene.claim()
        later = scene.clock() + timedelta(hours=1)
        kinds: dict[str, Settlement] = {"released": Release(later), "buried": Bury("broken")}
        outcomes = {each.key: kinds[how] for each in batch.claims if how in kinds}
        settle = [Settle(batch.token or "", outcomes)]
        failed = await scene.fail(number, lambda settle=settle: scene.store.settle(settle))  # type: ignore[misc]  # mypy knows no defaults here
        for id in ("a", "b"):
            found = await scene.store.where(id)
            message = await scene.store.get(id)
            assert (found is None) == (message is None)
            if found is None or message is None:
                continue
            assert found.state is message.state
            assert failed or found.state is not State.CLAIMED
            assert (found.owner is not None) == (found.state is State.CLAIMED)
            assert (found.due_at is not None) == (found.state is State.SCHEDULED)
    assert number > 2
