"""Keys of the Redis store that somebody deletes or evicts: found by counting, and mended."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import msgspec
import pytest
from redis.asyncio import Redis
from tests.servers.redis import RedisServer
from tests.stores.redis_scene import MINUTE, Scene

from duly import Every, Filter, State
from duly.store import PAUSED, Counters, Reschedule, Settle
from duly_redis.keys import NAMES

HOUR = timedelta(hours=1)
BASE = "scheduler:{scheduler:}"
# Keys, what mending puts back when one of them is gone, and whether counting tells of it.
DELETED: list[tuple[str, list[str], bool]] = [
    ("due", ["later", "moved", "now", "series"], True),
    ("suspects", ["suspect"], True),
    ("changes", [], False),
    ("lapses", [], False),
    ("dead", ["dead"], True),
    ("reasons", [], False),
    ("deaths", [], False),
    ("leases", ["held"], True),
    ("ends", ["held"], True),
    ("withdrawn", [], False),
    ("names", [], False),
    ("numbers", [], False),
    ("successors", [], False),
    ("declared", [], False),
    ("floors", [], False),
    ("by:billing", [], False),
    ("name:event", [], False),
    ("name:other", [], False),
    ("aside", ["aside"], True),
    ("aside:slow", ["aside"], True),
]
ALL = ["aside", "dead", "held", "later", "moved", "now", "series", "suspect"]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def scene(server: RedisServer) -> AsyncIterator[Scene]:
    """One message in each state."""
    async with Redis(port=server.port) as client, Scene(client) as scene:
        await scene.bury("dead")
        await scene.put(scene.message("series", recurrence=Every(HOUR, max_occurrences=5)))
        await settle_series(scene)
        await scene.lapse("suspect", 2)
        await scene.put(scene.message("aside", "slow"))
        assert (await scene.claim(most={"*": PAUSED})).moved == 1
        await scene.put(scene.message("held", "other"))
        assert (await scene.claim(1, suspects=False, most={"slow": 0})).claims[
            0
        ].message.id == "held"
        await scene.put(
            scene.message("now"),
            scene.message("later", scheduled_at=scene.clock() + HOUR),
            scene.message("moved", scheduled_at=scene.clock() + HOUR),
        )
        await scene.store.reschedule("moved", scene.clock() + 3 * HOUR, of_state=State.SCHEDULED)
        yield scene


async def settle_series(scene: Scene) -> None:
    """Let it go on to its next fire."""
    batch = await scene.claim(1, suspects=False)
    (claim,) = batch.claims
    further = Reschedule(scene.clock() + HOUR, Counters(scene.clock() + HOUR, 0, 1))
    assert all(await scene.store.settle([Settle(batch.token or "", {claim.key: further})]))


async def doubts(scene: Scene) -> list[str]:
    return [each for each in await scene.store.check() if "deleted or evicted" in each]


async def listed(scene: Scene) -> list[str]:
    return sorted(message.id for message in await scene.store.list(Filter()))


async def test_nothing_is_wrong(scene: Scene) -> None:
    assert await doubts(scene) == []
    before = await scene.client.dbsize()
    assert list(await scene.store.mend()) == []
    assert (await scene.client.dbsize(), await listed(scene)) == (before, ALL)
    await scene.store.cancel(["held"])
    assert await doubts(scene) == [], "a mark for its holder"


@pytest.mark.parametrize(
    ("name", "back", "is_told"),
    DELETED,
)
async def test_a_key_is_gone(scene: Scene, name: str, back: list[str], is_told: bool) -> None:
    await scene.client.delete(f"{BASE}{name}")
    told = await doubts(scene)
    assert bool(told) == is_told
    if told:
        (doubt,) = told
        assert doubt.startswith(f"{len(back)} messages in Redis are in no place")
        assert doubt.endswith("RedisStore.mend() puts them back")
    assert sorted(await scene.store.mend()) == back
    assert await doubts(scene) == []
    assert await listed(scene) == ALL
    moved, series = [await scene.store.get(id) for id in ("moved", "series")]
    assert moved
    assert series
    if name != "changes":
        assert moved.next_attempt_at == scene.clock() + 3 * HOUR
        assert series.occurrence_count == 1
    delivered, dead = await scene.drain()
    assert ({id for id, _ in delivered}, dead) == ({*ALL} - {"dead"}, {"dead"})


async def test_numbers_go_on_behind_those_there_are(scene: Scene) -> None:
    key = f"{BASE}numbers"
    before = int(await scene.client.get(key) or 0)
    await scene.client.delete(key)
    await scene.store.mend()
    assert int(await scene.client.get(key) or 0) == before


async def test_all_messages_are_gone(scene: Scene) -> None:
    await scene.client.delete(f"{BASE}messages")
    (told,) = await doubts(scene)
    assert told.startswith("8 places in Redis have no message")
    assert list(await scene.store.mend()) == []
    scene.clock.advance(2 * MINUTE)
    assert (await scene.claim()).token is None, "the lease is over"
    assert await doubts(scene) == []
    assert await scene.drain() == (set(), set())


async def test_what_cannot_be_read_is_put_back_for_whoever_claims_it(scene: Scene) -> None:
    key = f"{BASE}messages"
    value = await scene.client.hget(key, "now")
    assert isinstance(value, bytes)
    line = value.partition(b"\n")[0]
    await scene.client.hset(key, "now", line + b"\n0\n" + msgspec.msgpack.encode("no record"))
    await scene.client.delete(f"{BASE}due")
    assert "now" in await scene.store.mend()
    _, dead = await scene.drain()
    assert "now" in dead


def test_every_key_is_tried() -> None:
    assert {*NAMES} - {name for name, *_ in DELETED} == {"messages"}
