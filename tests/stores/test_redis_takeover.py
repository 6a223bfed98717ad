"""Leases in Redis that are taken over: a few at a time, on every shard, and whatever fails."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RELEASES, RedisServer
from tests.servers.redis_cluster import redis_cluster_url
from tests.stores.redis_scene import MINUTE, Scene
from tests.stores.test_redis_shards import Harness

from duly import StoreError, StoreUnavailable
from duly.store import Batch, Group, PartlyUnavailable
from duly.testing.stores import Bench
from duly_redis import RedisStore
from duly_redis.keys import Shard, home

__all__ = ["redis_cluster_url"]

OWNER = "a-host.of.some.example:31415:0123456789abcdef"


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def scene(server: RedisServer) -> AsyncIterator[Scene]:
    async with Redis(port=server.port) as client, Scene(client) as scene:
        yield scene


async def claim(scene: Scene, owner: str, limit: int = 1000) -> Batch:
    return await scene.store.claim(limit=limit, lease=MINUTE, owner=owner)


def counted(store: RedisStore, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages each script from now on says that it has ended leases of."""
    run, counts = store._calls.run, []

    async def watched(*given: Any) -> Any:
        answer = await run(*given)
        counts.append(answer[0])
        return answer

    monkeypatch.setattr(store._calls, "run", watched)
    return counts


async def test_an_owner_of_many_leases(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """No script ends leases of many more than 1,000 messages."""
    ids = [f"m{number:05}" for number in range(3600)]
    await scene.put(*(scene.message(id) for id in ids))
    for limit in (1000, 1000, *[50] * 12):
        assert len((await claim(scene, OWNER, limit)).claims) == limit
    await claim(scene, f"{OWNER}0")
    await scene.store.cancel(ids[:10])
    with monkeypatch.context() as patched:
        counts = counted(scene.store, patched)
        assert await scene.store.lapse(OWNER) == 2590
    assert sum(counts) == 2590
    assert max(counts) < 2000
    assert await scene.store.lapse(OWNER) == 0
    back: list[str] = []
    while (batch := await claim(scene, "heir")).claims:
        assert {each.lapses for each in batch.claims} == {1}
        back += [each.message.id for each in batch.claims]
    assert back == ids[10:2600]


@pytest.mark.parametrize("length", [0, 1, 31, 32, 255, 256, 70_000])
async def test_owners_of_any_length(scene: Scene, length: int) -> None:
    """They stand packed at the head of their leases, where one may look like more of another."""
    owner = "o" * length
    for number, each in enumerate((owner, f"{owner}o", f"x{owner}")):
        await scene.put(scene.message(f"m{number}"))
        assert len((await claim(scene, each)).claims) == 1
    assert await scene.store.lapse(owner) == 1
    assert [each.message.id for each in (await claim(scene, "heir")).claims] == ["m0"]


async def test_the_end_of_a_lease_is_the_moment_of_its_takeover(scene: Scene) -> None:
    await scene.put(scene.message("a"))
    await claim(scene, OWNER)
    scene.clock.advance(seconds=1)
    await scene.store.lapse(OWNER)
    found = await scene.store.where("a")
    assert found is not None
    assert (found.owner, found.lease_ends_at) == (OWNER, scene.clock())


async def test_a_lease_without_an_end_is_left_to_mending(scene: Scene) -> None:
    """Somebody deleted that; what was in it is in no place."""
    await scene.put(scene.message("a"))
    await claim(scene, OWNER)
    await scene.client.delete("scheduler:{scheduler:}ends")
    assert await scene.store.lapse(OWNER) == 0
    assert list(await scene.store.mend()) == ["a"]


async def test_leases_are_taken_over_when_memory_is_full(scene: Scene) -> None:
    await scene.put(scene.message("a"))
    await claim(scene, OWNER)
    try:
        await scene.client.config_set("maxmemory", "1")
        assert await scene.store.lapse(OWNER) == 1
    finally:
        await scene.client.config_set("maxmemory", "0")


async def test_it_fails_halfway(scene: Scene) -> None:
    """What is ended is ended; again ends the rest."""
    await scene.put(*(scene.message(id) for id in "abc"))
    for _ in range(3):
        await claim(scene, OWNER, 1)
    await scene.store.cancel(["b"])
    number = 0
    while await scene.fail(number := number + 1, lambda: scene.store.lapse(OWNER)):
        pass
    assert number > 2
    claims = (await claim(scene, "heir")).claims
    assert [(each.message.id, each.lapses) for each in claims] == [("a", 1), ("c", 1)]


async def test_an_owner_that_nobody_can_be(scene: Scene) -> None:
    assert await scene.store.lapse("\ud800") == 0


class TestShards(Harness):
    """An owner has leases on all of them."""

    @pytest.fixture
    async def held(self, desk: Bench) -> Sequence[str]:
        """An id of each shard, all of them in leases of one owner."""
        some = (f"m{number}" for number in range(100))
        first = {home(id, self.shards): id for id in reversed([*some])}
        ids = [first[number] for number in range(self.shards)]
        assert await desk.outcomes(*(Group([desk.message(id)]) for id in ids)) == [None] * 3
        for _ in ids:
            assert len((await desk.claim(owner=OWNER)).claims) == 1
        return ids

    async def test_they_end_on_every_shard(self, desk: Bench, held: Sequence[str]) -> None:
        store = desk.store
        assert isinstance(store, RedisStore)
        assert await store.lapse("somebody else") == 0
        assert await store.lapse(OWNER) == 3
        claims = await desk.claim_all()
        assert sorted(each.message.id for each in claims) == sorted(held)
        assert {each.lapses for each in claims} == {1}

    @pytest.mark.parametrize("away", [0, 1])
    async def test_where_one_does_not_answer_it_is_done_on_the_others(
        self, desk: Bench, held: Sequence[str], away: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Notes, which are all in one place, are there if that is."""
        store = desk.store
        assert isinstance(store, RedisStore)
        revision = await store.write_note("a", b"1", None)
        with monkeypatch.context() as patched:
            lose(store, store._shards[away], patched)
            for _ in range(2):
                with pytest.raises(PartlyUnavailable, match="has not answered since"):
                    await store.lapse(OWNER)
            await self.notes(store, revision, StoreUnavailable if away == 0 else None)
        store._calls.away.heard(store._shards[away])
        await self.notes(store, revision, None)
        left = [id for number, id in enumerate(held) if number != away]
        assert sorted(each.message.id for each in await desk.claim_all()) == sorted(left)
        assert await store.lapse(OWNER) == 1

    async def notes(
        self, store: RedisStore, revision: str | None, error: type[StoreError] | None
    ) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: store.read_note("a"),
            lambda: store.notes(""),
            lambda: store.write_note("a", b"2", "another"),
        ]
        for call in calls:
            if error is None:
                await call()
            else:
                with pytest.raises(error):
                    await call()
        if error is None:
            note = await store.read_note("a")
            assert note is not None
            assert note.revision == revision

    async def test_all_notes_are_with_the_first_shard(self, desk: Bench) -> None:
        store = desk.store
        assert isinstance(store, RedisStore)
        for name in "abcdefgh":
            await store.write_note(name, b"1", None)
        found = [key for key in await self.keys(desk.namespace) if key.endswith(("notes", "noted"))]
        assert found == [f"{store._shards[0].base}{name}" for name in ("noted", "notes")]


def lose(store: RedisStore, lost: Shard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server of a shard be away."""
    run = store._calls.run

    async def silent(script: Any, shard: Shard, *args: Any) -> Any:
        store._calls.away.refuse(shard)
        if shard is lost:
            raise StoreUnavailable("nobody answers")
        return await run(script, shard, *args)

    monkeypatch.setattr(store._calls, "run", silent)
