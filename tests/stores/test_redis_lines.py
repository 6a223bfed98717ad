"""Sidings in Redis: marks, keys of somebody else, shards, the version before, and any size."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RELEASES, RedisServer
from tests.stores.redis_scene import MINUTE, Scene

from duly import Client, State, StoreUnavailable
from duly.store import PAUSED, Batch
from duly_redis import RedisStore, lines, listing

BASE = "scheduler:{scheduler:}"
NOTHING = {"*": PAUSED}


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def scene(server: RedisServer) -> AsyncIterator[Scene]:
    async with Redis(port=server.port) as client, Scene(client) as scene:
        yield scene


async def put(scene: Scene, name: str, *ids: str) -> None:
    await scene.put(*(scene.message(id, name) for id in ids))


async def names(scene: Scene) -> list[str]:
    found = await scene.client.zrange(f"{BASE}aside", 0, -1)
    return [each.decode() for each in found if isinstance(each, bytes)]


def ids(batch: Batch) -> list[str]:
    return [claim.message.id for claim in batch.claims]


async def test_what_stands_aside_and_what_is_left_of_it(scene: Scene) -> None:
    """A siding that is empty has no key, and no name among those that have one."""
    await put(scene, "slow", "a", "b")
    await put(scene, "other", "c")
    assert (await scene.claim(most=NOTHING)).moved == 3
    assert await names(scene) == ["other", "slow"]
    assert await scene.client.zcard(f"{BASE}aside:slow") == 2
    assert await scene.client.exists(f"{BASE}due") == 0
    assert await scene.store.cancel(["c"]) == [State.SCHEDULED]
    assert await names(scene) == ["slow"]
    assert ids(await scene.claim()) == ["a", "b"]
    assert await scene.client.exists(f"{BASE}aside", f"{BASE}aside:slow") == 0


async def test_names_are_walked_in_order_of_their_bytes(scene: Scene) -> None:
    """Also of those that no locale has in that order, and past all that a prefix keeps back."""
    some = [f"a.{number:03}" for number in range(250)]
    await scene.put(*(scene.message(name, name) for name in ("Z", "a", *some, "a/", "é", "🚂")))
    while (await scene.claim(most=NOTHING)).more:
        pass
    most = {"a.*": 0, "a": 0, "a.007": 1}
    batch = await scene.claim(most=most)
    assert sorted(ids(batch)) == sorted(["Z", "a.007", "a/", "é", "🚂"])
    assert (batch.more, batch.aside) == (False, True)
    batch = await scene.claim(most={"*": 0, "a.*": 3})
    assert ids(batch) == ["a.000", "a.001", "a.002"]
    for place in range(0, 246, 50):  # in turn, although each claim visits some of them
        assert len(ids(await scene.claim(50))) == min(50, 247 - place)
    assert not (await scene.claim()).more


async def test_a_key_of_somebody_else_in_the_place_of_a_siding(scene: Scene) -> None:
    """That name has none then: it is handed out, and nothing is written before."""
    scene.foreign.add(f"{BASE}aside:slow")
    await scene.client.set(f"{BASE}aside:slow", "of somebody else")
    await put(scene, "slow", "a", "b")
    await put(scene, "other", "c")
    batch = await scene.claim(most=NOTHING)
    assert (ids(batch), batch.moved) == (["a", "b"], 1)
    waits = await scene.store.where("a")
    assert waits is not None
    assert waits.state is State.CLAIMED
    scene.clock.advance(2 * MINUTE)
    assert {id for id, _ in (await scene.drain())[0]} == {"a", "b", "c"}


async def test_a_siding_that_somebody_overwrites(scene: Scene) -> None:
    """Others go on, and mend() finds what was in it."""
    await put(scene, "slow", "a")
    await put(scene, "other", "b")
    assert (await scene.claim(most=NOTHING)).moved == 2
    scene.foreign.add(f"{BASE}aside:slow")
    await scene.client.set(f"{BASE}aside:slow", "of somebody else")
    assert ids(await scene.claim()) == ["b"]
    assert [each for each in await scene.store.check() if "no place" in each]
    assert list(await scene.store.mend()) == ["a"]
    scene.clock.advance(2 * MINUTE)
    assert {id for id, _ in (await scene.drain())[0]} == {"a", "b"}


async def test_the_health_of_keys_of_an_older_version(server: RedisServer) -> None:
    async with Redis(port=server.port) as redis:
        await redis.flushdb()
        await redis.hset(f"{BASE}meta", mapping={"layout": "1", "shards": "1"})
        async with Client(store := RedisStore(redis)) as client:
            (told,) = [each for each in await store.check() if "older version" in each]
            assert "await client.migrate()" in told
            assert await client.migrate() == [f"HSET {BASE}meta lines 1"]
            assert not [each for each in await store.check() if "older version" in each]


async def test_a_closed_store_can_be_migrated(server: RedisServer) -> None:
    """With a client that is made for that and closed again; it is as closed as before."""
    async with Redis(port=server.port) as redis:
        await redis.flushdb()
    store = RedisStore(lambda: Redis(port=server.port))
    assert await store.migrate() == [f"HSET {BASE}meta layout 1 shards 1 lines 1"]
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.stats()


async def test_many_suspects_that_are_passed_over_hide_none_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim looks at so many, and the next one goes on behind them."""
    monkeypatch.setattr(lines, "LOOKED_AT", 100)
    many = [scene.message(f"s{number:03}", "slow") for number in range(250)]
    await scene.put(*many, scene.message("o", "other"))
    for _ in range(2):
        assert len(ids(await scene.claim(1000))) == 251
        scene.clock.advance(2 * MINUTE)
    await put(scene, "fast", "f")
    found = [ids(await scene.claim(most={"slow": 0})) for _ in range(4)]
    assert sorted(id for batch in found for id in batch) == ["f", "o"]
    found = [ids(await scene.claim(most={"slow": 1})) for _ in range(2)]
    assert found == [["s000"], ["s001"]]


async def test_counts_of_many_sidings_are_asked_for_bit_by_bit(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_SIDINGS", 2)
    some = ["c", "a", "b", "é", "d", "e"]
    for number, name in enumerate(some, 1):
        await put(scene, name, f"{name}1", f"{name}2")
        assert (await scene.claim(most=NOTHING)).moved == 2
        stats = await scene.store.stats()
        assert (stats.aside, stats.scheduled, stats.claimed) == (2 * number, 2 * number, 0)
    first = await scene.store.get("c1")
    assert first is not None
    assert stats.oldest_aside == first.scheduled_at


@pytest.mark.parametrize("limit", [1, 7, 1000])
async def test_a_large_siding_comes_in_order(scene: Scene, limit: int) -> None:
    many = [f"m{number:04}" for number in range(3000 if limit > 1 else 30)]
    await put(scene, "slow", *many)
    looks: list[Any] = [await scene.claim(most=NOTHING)]
    while looks[-1].more:
        looks.append(await scene.claim(most=NOTHING))
    assert [each.moved for each in looks] == [min(1000, len(many))] * len(looks)
    found: list[str] = []
    while batch := ids(await scene.claim(limit)):
        found += batch
    assert found == many
