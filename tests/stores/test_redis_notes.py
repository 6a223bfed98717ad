"""Notes in Redis: where they are, who may read them, what is left of a step that fails."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RELEASES, RedisServer
from tests.stores.redis_scene import Scene
from tests.stores.test_redis_releases import README

from duly import InvalidArgument, StoreError, StoreUnavailable
from duly.store import MOST_OF_A_NOTE, Note
from duly_redis import RedisStore

BASE = "scheduler:{scheduler:}"
LARGE = b"x" * MOST_OF_A_NOTE


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def scene(server: RedisServer) -> AsyncIterator[Scene]:
    async with Redis(port=server.port) as client, Scene(client) as scene:
        yield scene


async def write(scene: Scene, name: str, value: bytes, revision: str | None = None) -> str:
    answer = await scene.store.write_note(name, value, revision)
    assert answer is not None
    return answer


async def read(scene: Scene, name: str) -> Note:
    note = await scene.store.read_note(name)
    assert note is not None
    return note


async def test_the_keys_and_what_is_in_them(scene: Scene) -> None:
    """As the page tells; nothing is left when the last note is gone."""
    first, second = await write(scene, "a", b"1\n\xff"), await write(scene, "\xe9", b"")
    assert await scene.client.hgetall(f"{BASE}notes") == {
        b"a": first.encode() + b"1\n\xff",
        "\xe9".encode(): second.encode(),
    }
    assert await scene.client.zrange(f"{BASE}noted", 0, -1) == [b"a", "\xe9".encode()]
    for name, revision in (("a", first), ("\xe9", second)):
        assert await scene.store.write_note(name, None, revision) is not None
    assert await scene.client.exists(f"{BASE}notes", f"{BASE}noted") == 0


async def test_large_ones_are_listed_a_few_at_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer holds much more than a large one."""
    names = [f"n{number}" for number in range(4)] + [f"small{number:03}" for number in range(150)]
    for name in names:
        await write(scene, name, LARGE if name[0] == "n" else b"1")
    run, sizes = scene.store._calls.run, []

    async def watched(*given: Any) -> Any:
        answer = await run(*given)
        sizes.append(sum(map(len, answer[2])))
        return answer

    monkeypatch.setattr(scene.store._calls, "run", watched)
    found = await scene.store.notes("")
    assert list(found) == names
    assert {note.value for note in found.values()} == {LARGE, b"1"}
    assert len(sizes) == 6
    assert max(sizes) < 2 * len(LARGE)


async def test_one_that_is_sent_twice_is_written_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some clients do when the answer was lost."""
    run = scene.store._calls.run

    async def twice(*given: Any) -> Any:
        await run(*given)
        return await run(*given)

    monkeypatch.setattr(scene.store._calls, "run", twice)
    first = await write(scene, "a", b"1")
    assert await scene.store.write_note("a", b"2", None) is None
    second = await write(scene, "a", b"2", first)
    assert ((await read(scene, "a")).value, (await read(scene, "a")).revision) == (b"2", second)


async def test_notes_are_written_when_memory_is_full(scene: Scene) -> None:
    """What makes room may wait for that."""
    revision = await write(scene, "a", b"1")
    try:
        await scene.client.config_set("maxmemory", "1")
        revision = await write(scene, "a", b"2", revision)
        await write(scene, "b", b"3")
        assert list(await scene.store.notes("")) == ["a", "b"]
        assert await scene.store.write_note("a", None, revision) is not None
    finally:
        await scene.client.config_set("maxmemory", "0")


async def test_what_may_be_behind_tells_nothing(scene: Scene, server: RedisServer) -> None:
    """Neither what is a replica by now, nor what has lost the replicas that it should have."""
    revision = await write(scene, "a", b"1")
    store, client = scene.store, scene.client

    async def refuse(said: str) -> None:
        for call in (
            store.read_note("a"),
            store.notes(""),
            store.write_note("a", b"2", revision),
            store.write_note("a", None, revision),
        ):
            with pytest.raises(StoreUnavailable, match=said):
                await call

    try:
        await client.replicaof("127.0.0.1", str(server.port))  # of itself: never in step
        await refuse("READONLY|read only")
    finally:
        await client.replicaof("NO", "ONE")
    try:
        await client.config_set("min-replicas-to-write", "1")
        await refuse("NOREPLICAS")
    finally:
        await client.config_set("min-replicas-to-write", "0")
    assert ((await read(scene, "a")).value, (await read(scene, "a")).revision) == (b"1", revision)


async def test_a_key_of_somebody_else(scene: Scene) -> None:
    await scene.client.set(f"{BASE}notes", "of somebody else")
    for call in (scene.store.read_note("a"), scene.store.write_note("a", b"1", None)):
        with pytest.raises(StoreError, match="something else uses keys with this prefix"):
            await call


async def test_names_that_nothing_can_have(scene: Scene) -> None:
    assert await scene.store.read_note("\ud800") is None
    assert await scene.store.notes("\ud800") == {}
    with pytest.raises(InvalidArgument):
        await scene.store.write_note("\ud800", b"1", None)


@pytest.mark.parametrize("lost", ["notes", "noted"])
async def test_when_one_of_the_keys_is_gone(scene: Scene, lost: str) -> None:
    """Values that are gone are gone; what is there is in no list until it is written or mended."""
    revision = await write(scene, "a", b"1")
    await write(scene, "b", b"2")
    await scene.client.delete(f"{BASE}{lost}")
    assert dict(await scene.store.notes("")) == {}
    if lost == "notes":
        assert await scene.store.read_note("a") is None
        assert list(await scene.store.mend()) == []
        assert await scene.client.exists(f"{BASE}noted") == 0
        return
    await write(scene, "a", b"3", revision)
    assert list(await scene.store.notes("")) == ["a"]
    assert list(await scene.store.mend()) == []
    assert list(await scene.store.notes("")) == ["a", "b"]


async def test_making_one_fails_halfway(scene: Scene) -> None:
    """There is none then, or it is whole; and again works."""
    number, failed = 0, True
    while failed:
        number += 1
        failed = await scene.fail(number, lambda: scene.store.write_note("a", b"1", None))
        note = await scene.store.read_note("a")
        assert list(await scene.store.notes("")) == ([] if note is None else ["a"])
        revision = await write(scene, "a", b"1") if note is None else note.revision
        assert (await read(scene, "a")).value == b"1"
        assert await scene.store.write_note("a", None, revision) is not None
    assert number > 2


@pytest.mark.parametrize("value", [b"2", None])
async def test_a_change_fails_halfway(scene: Scene, value: bytes | None) -> None:
    """It is as it was then, or as it should be; and again works."""
    number, failed = 0, True
    while failed:
        number += 1
        found = await scene.store.read_note("a")
        revision = await write(scene, "a", b"1", None if found is None else found.revision)
        failed = await scene.fail(number, partial(scene.store.write_note, "a", value, revision))
        note = await scene.store.read_note("a")
        assert list(await scene.store.notes("")) == ([] if note is None else ["a"])
        if note is not None and note.revision == revision:
            assert note.value == b"1"
            assert await scene.store.write_note("a", value, revision) is not None
            note = await scene.store.read_note("a")
        assert (None if note is None else note.value) == value
    assert number > 2


async def test_who_may_not_touch_notes_may_schedule(server: RedisServer, scene: Scene) -> None:
    """Rights on the keys of messages are enough for messages."""
    rights = [each for each in README if not each.startswith(("~", "&"))]
    keys = ["~scheduler:{scheduler:}[^n]*", "~scheduler:{scheduler:}n[^o]*", "&scheduler:*"]
    await scene.client.execute_command("ACL", "SETUSER", "caller", *rights, *keys)
    async with Redis(port=server.port, username="caller", password="secret") as client:
        store = RedisStore(client, clock=scene.clock)
        await store.open()
        assert await store.cancel(["a"]) == [None]
        for call in (store.read_note("a"), store.notes(""), store.write_note("a", b"1", None)):
            with pytest.raises(StoreError, match="a right that the user needs"):
                await call
        await store.close()


async def test_notes_say_nothing_to_those_who_wait(scene: Scene) -> None:
    async with scene.client.pubsub() as listening:
        await listening.subscribe(f"{BASE}wake")
        assert await listening.get_message(timeout=5) is not None
        revision = await write(scene, "a", b"1")
        assert list(await scene.store.notes("a")) == ["a"]
        await scene.store.write_note("a", None, revision)
        await scene.client.publish(f"{BASE}wake", "the first word")
        async with asyncio.timeout(5):
            while (said := await listening.get_message(timeout=1)) is None:
                pass
        assert said["data"] == b"the first word"
