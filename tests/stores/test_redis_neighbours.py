"""The Redis store beside the version before, which knows neither format 2 nor deaths."""

from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RELEASES, RedisServer
from tests.stores.redis_before import NEWER, StoreBefore, moves_before, read_before
from tests.stores.redis_scene import MINUTE, Scene

from duly import Every, Filter, Message, State
from duly.message import with_changes
from duly.moment import to_microseconds
from duly.store import Bury, Counters, Group, Release, Reschedule, Settle, Settlement

HOUR = timedelta(hours=1)
BASE = "scheduler:{scheduler:}"
DEATHS = f"{BASE}deaths"


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture
async def scene(server: RedisServer) -> AsyncIterator[Scene]:
    async with Redis(port=server.port) as client, Scene(client) as scene:
        yield scene


@pytest.fixture
async def before(scene: Scene) -> AsyncIterator[StoreBefore]:
    """The version before, at the same keys."""
    store = StoreBefore(scene.client, scene.clock)
    await store.open()
    yield store
    await store.close()


async def settle(
    scene: Scene, store: Any, settlements: Mapping[str, Settlement], **options: Any
) -> None:
    """Claim all that is due and settle it, what is not named as released."""
    batch = await store.claim(limit=1000, lease=MINUTE, owner="o", **options)
    exceptions = {
        claim.key: settlements.get(claim.message.id, Release(scene.clock()))
        for claim in batch.claims
    }
    assert {claim.message.id for claim in batch.claims} >= {*settlements}
    assert all(await store.settle([Settle(batch.token or "", exceptions)]))


async def put_as_is(scene: Scene, *messages: Message) -> None:
    assert await scene.store.put([Group(messages, as_is=True)]) == [None]


async def bury(scene: Scene, *ids: str, store: Any = None, **more: Any) -> None:
    death = Bury("broken", **more)
    await settle(scene, store or scene.store, dict.fromkeys(ids, death))


async def get(scene: Scene, id: str) -> Message:
    message = await scene.store.get(id)
    assert message is not None
    return message


async def death(scene: Scene, id: str) -> tuple[Any, Any, Any, Any]:
    message = await get(scene, id)
    return message.state, message.last_error, message.died_at, message.error_class


class TestFormatOne:
    """What needs nothing new is read by the version before as it always was."""

    async def assert_read(self, scene: Scene, *ids: str) -> None:
        for id in ids:
            message = await get(scene, id)
            assert await read_before(scene.client, id) == {
                "payload": message.payload,
                "created_at": to_microseconds(message.created_at),
                "scheduled_at": to_microseconds(message.scheduled_at),
                "next_attempt_at": to_microseconds(message.next_attempt_at),
                "retry_count": message.retry_count,
                "occurrence_count": message.occurrence_count,
                "last_error": message.last_error,
            }
            assert await moves_before(scene.client, id)

    async def test_in_every_state(self, scene: Scene) -> None:
        at = scene.clock()
        series = scene.message("series", recurrence=Every(HOUR, max_occurrences=9))
        await scene.put(*(scene.message(id) for id in ("retried", "dead", "moved")), series)
        further = Reschedule(at + HOUR, Counters(at + HOUR, occurrence_count=1))
        await settle(
            scene,
            scene.store,
            {
                "retried": Reschedule(at + HOUR, Counters(at, 2, 0, "why")),
                "dead": Bury("broken", error_class="Rejected"),
                "series": Bury("broken too", further, error_class="Rejected"),
            },
        )
        await scene.store.reschedule("moved", at + HOUR, of_state=State.SCHEDULED)
        await scene.put(scene.message("held"))
        assert (await scene.claim()).token
        assert (await get(scene, "dead")).died_at == at
        await self.assert_read(
            scene, "retried", "dead", "moved", "series", series.delivery_id, "held"
        )

    async def test_stored_as_it_is(self, scene: Scene) -> None:
        retried = with_changes(scene.message("retried"), retry_count=3, last_error="why")
        dead = with_changes(
            scene.message("dead"), state=State.DEAD, retry_count=1, last_error="broken",
            error_class="Rejected", died_at=scene.clock() - HOUR,
        )  # fmt: skip
        bare = with_changes(scene.message("bare"), state=State.DEAD)
        await put_as_is(scene, retried, dead, bare)
        await self.assert_read(scene, "retried", "dead", "bare")
        assert await death(scene, "dead") == (
            State.DEAD, "broken", scene.clock() - HOUR, "Rejected",
        )  # fmt: skip
        assert await death(scene, "bare") == (State.DEAD, None, None, None)
        await scene.client.delete(f"{BASE}dead")
        assert sorted(await scene.store.mend()) == ["bare", "dead"]
        assert await death(scene, "bare") == (State.DEAD, None, None, None)

    async def test_the_layout_is_the_same(self, scene: Scene) -> None:
        assert await scene.client.hget(f"{BASE}meta", "layout") == b"1"


class TestFormatTwo:
    """What the version before would misread it leaves alone, in every state."""

    @pytest.mark.parametrize("payload", [b"", b"\x01\n" * 100, b"x" * 70_000], ids=len)
    async def test_postponed(self, scene: Scene, payload: bytes) -> None:
        await scene.put(scene.message("a", payload=payload))
        counters = Counters(scene.clock(), postpone_count=3)
        await settle(scene, scene.store, {"a": Reschedule(scene.clock(), counters)})
        for state in (State.SCHEDULED, State.CLAIMED, State.DEAD):
            assert await read_before(scene.client, "a") == NEWER
            assert await moves_before(scene.client, "a")
            message = await get(scene, "a")
            assert (message.state, message.postpone_count) == (state, 3)
            assert message.payload == payload
            if state is State.SCHEDULED:
                batch = await scene.claim()
            elif state is State.CLAIMED:
                told = {claim.key: Bury("broken") for claim in batch.claims}
                assert all(await scene.store.settle([Settle(batch.token or "", told)]))

    async def test_a_fire_that_was_put_back_goes_on(self, scene: Scene) -> None:
        at = scene.clock()
        await scene.put(scene.message("a", recurrence=Every(HOUR)))
        back = Reschedule(at, Counters(at, 1, 2, "why", put_back=True))
        await settle(scene, scene.store, {"a": back})
        assert await read_before(scene.client, "a") == NEWER
        assert (await get(scene, "a"))._put_back
        further = Reschedule(at + HOUR, Counters(at + HOUR, occurrence_count=3))
        await settle(scene, scene.store, {"a": further})
        message = await get(scene, "a")
        assert (message._put_back, message.occurrence_count) == (False, 3)

    async def test_stored_as_it_is(self, scene: Scene) -> None:
        jitter = scene.message("jitter", recurrence=Every(HOUR, jitter=MINUTE))
        waits = with_changes(scene.message("waits"), postpone_count=2, retry_count=1)
        dead = with_changes(waits, id="dead", state=State.DEAD, last_error="broken")
        back = with_changes(jitter, id="back", _put_back=True)
        await put_as_is(scene, jitter, waits, dead, back)
        for each in (jitter, waits, dead, back):
            assert await read_before(scene.client, each.id) == NEWER
            assert await scene.store.get(each.id) == each

    async def test_moved_by_the_version_before(self, scene: Scene, before: StoreBefore) -> None:
        """It moves what it cannot read, by the time that the changes tell."""
        await scene.put(scene.message("a"))
        counters = Counters(scene.clock(), 1, 0, "why", postpone_count=3)
        await settle(scene, scene.store, {"a": Reschedule(scene.clock(), counters)})
        await before.reschedule("a", scene.clock() + HOUR, of_state=State.SCHEDULED)
        message = await get(scene, "a")
        assert message.scheduled_at == message.next_attempt_at == scene.clock() + HOUR
        assert (message.postpone_count, message.retry_count, message.last_error) == (0, 0, None)

    async def test_damaged_ones_stay_as_they_are(self, scene: Scene) -> None:
        """A format is raised where one is, and nowhere else."""
        for number, packed in enumerate((b"", b"\x9b", b"\xc1\x01", b"\x01\x01", b"\x9b\xc4")):
            await scene.put(scene.message("a"), replace=bool(number))
            batch = await scene.claim()
            value = await scene.client.hget(f"{BASE}messages", "a")
            assert isinstance(value, bytes)
            damaged = b"\n".join([*value.split(b"\n", 2)[:2], packed])
            await scene.client.hset(f"{BASE}messages", "a", damaged)
            back = Reschedule(scene.clock(), Counters(scene.clock(), postpone_count=1))
            told = {claim.key: back for claim in batch.claims}
            assert all(await scene.store.settle([Settle(batch.token or "", told)]))
            assert await scene.client.hget(f"{BASE}messages", "a") == damaged
            await scene.store.cancel(["a"])


class TestDeaths:
    """What the version before leaves of them is never taken for another, and goes."""

    async def test_a_dead_letter_from_before(self, scene: Scene, before: StoreBefore) -> None:
        await scene.put(scene.message("a"))
        await bury(scene, "a", store=before)
        assert not await scene.client.exists(DEATHS)
        assert await death(scene, "a") == (State.DEAD, "broken", None, None)
        assert await scene.store.reschedule("a", None, of_state=State.DEAD) is State.DEAD
        await bury(scene, "a", error_class="Rejected")
        assert await death(scene, "a") == (State.DEAD, "broken", scene.clock(), "Rejected")

    @pytest.mark.parametrize("how", ["replays", "replaces", "removes"])
    async def test_a_death_left_behind(self, scene: Scene, before: StoreBefore, how: str) -> None:
        await scene.put(scene.message("a"))
        await bury(scene, "a", error_class="Rejected")
        new = scene.message("a", payload=b"new")
        if how == "replays":
            await before.reschedule("a", None, of_state=State.DEAD)
        elif how == "replaces":
            assert await before.put([Group([new], replace=True)]) == [None]
        else:
            await before.cancel(["a"])
            assert await before.put([Group([new])]) == [None]
        assert await scene.client.hlen(DEATHS) == 1
        assert await death(scene, "a") == (State.SCHEDULED, None, None, None)
        await bury(scene, "a", store=before)
        assert await death(scene, "a") == (State.DEAD, "broken", None, None)
        assert list(await scene.store.check()) == list(await before.check())
        assert list(await scene.store.mend()) == []
        assert not await scene.client.exists(DEATHS)
        assert await death(scene, "a") == (State.DEAD, "broken", None, None)

    async def test_those_left_behind_do_not_pile_up(
        self, scene: Scene, before: StoreBefore
    ) -> None:
        many = [f"m{number}" for number in range(900)]
        await scene.put(*(scene.message(id) for id in [*many, "stays"]))
        await bury(scene, *many, "stays")
        await before.cancel(many)
        assert await scene.client.hlen(DEATHS) == 901
        some = [f"s{number}" for number in range(200)]
        await scene.put(*(scene.message(id) for id in some))
        for id in some:
            scene.clock.advance(seconds=0.000_007)
            batch = await scene.claim(1)
            (claim,) = batch.claims
            assert claim.message.id == id
            assert all(await scene.store.settle([Settle(batch.token or "", {claim.key: Bury("")})]))
        assert await scene.client.hlen(DEATHS) < 300
        for letter in await scene.store.list(Filter(state=State.DEAD)):
            assert letter.died_at is not None

    async def test_all_is_gone_with_the_last_dead_letter(self, scene: Scene) -> None:
        await scene.put(*(scene.message(id) for id in "abcd"))
        await bury(scene, *"abcd", error_class="Rejected")
        await scene.store.cancel(["a"])
        await scene.put(scene.message("b", payload=b"new"), replace=True)
        await scene.store.reschedule("c", None, of_state=State.DEAD)
        assert await scene.client.hlen(DEATHS) == 1
        await put_as_is(scene)
        other = with_changes(scene.message("d", payload=b"new"), state=State.DEAD, last_error="x")
        assert await scene.store.put([Group([other], replace=True, as_is=True)]) == [None]
        assert await scene.client.hlen(DEATHS) == 1
        assert await death(scene, "d") == (State.DEAD, "x", None, None)
        delivered, dead = await scene.drain()
        assert ({id for id, _ in delivered}, dead) == ({"b", "c"}, {"d"})
