"""Series and what follows them in Redis: on each release, in strange hands, and when it is full."""

from collections.abc import AsyncIterator, Iterator

import pytest
from redis.asyncio import Redis
from tests.servers.redis import OTHERS, RELEASES, RedisServer
from tests.stores.redis_desk import BASE, HOUR, Desk
from tests.stores.redis_harness import RedisHarness

from duly import DuplicateMessage, Ensured, Every, Filter, Message, State, StoreError
from duly.moment import from_microseconds
from duly.store import (
    Bury,
    Counters,
    Declared,
    End,
    Reschedule,
    Settlement,
)
from duly.testing.stores import EnsureCases
from duly_redis.keys import NAMES

pytest_plugins = ["duly.testing"]


@pytest.fixture(scope="module", params=RELEASES)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with RedisServer(release=request.param) as server:
        yield server


@pytest.fixture(scope="module", params=OTHERS)
def other_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with RedisServer(release=request.param) as server:
        yield server.url


class TestReleases(RedisHarness, EnsureCases):
    """The oldest and the youngest server; the usual one goes through all cases elsewhere."""

    scale = 0.2

    @pytest.fixture(autouse=True)
    def _server(self, other_url: str) -> None:
        self.url = other_url


@pytest.fixture
async def desk(server: RedisServer) -> AsyncIterator[Desk]:
    async with Redis(port=server.port) as client, Desk(client) as desk:
        yield desk


DAMAGE = [
    b"nonsense{", b"{}\n", b"[]\n", b'{"cut": 0}\n', b"\xff\n", b"", b"\x8c", b"\n\n\n",
    b'{"cut":"x","count":0,"event":"e","split":9}\nrecord',
    b'{"cut":0,"count":0,"event":"e","split":1e99}\nrecord',
]  # fmt: skip


class TestStrangeHands:
    """What was changed holds up nothing, and nothing is left behind."""

    @pytest.mark.parametrize("text", DAMAGE, ids=repr)
    @pytest.mark.parametrize("told", ["next", "end", "bury"])
    async def test_what_follows_cannot_be_read(self, desk: Desk, text: bytes, told: str) -> None:
        """The series goes on as it is, and so does all else."""
        batch = await desk.follow()
        await desk.client.hset(f"{BASE}successors", batch.claims[0].key, text)  # type: ignore[arg-type]  # a member is bytes
        assert isinstance(await desk.ensure(desk.series(b"x")), DuplicateMessage)
        found = await desk.store.where("s")
        assert found is not None
        assert found.follows is None
        await desk.put(desk.message("else"))
        following = desk.next(batch)
        settlements: dict[str, Settlement] = {
            "next": following,
            "end": End(1),
            "bury": Bury("x", following),
        }
        assert await desk.tell(batch, settlements[told])
        assert [each.message.id for each in (await desk.claim()).claims] == ["else"]
        desk.clock.advance(hours=1)
        ids = [each.message.id for each in (await desk.claim()).claims]
        assert ids == (["else"] if told == "end" else ["else", "s"])

    async def test_it_is_moved_although_what_follows_cannot_be_read(self, desk: Desk) -> None:
        batch = await desk.follow()
        await desk.tell(batch, Reschedule(desk.start, Counters(desk.start, 1)))
        await desk.client.hset(f"{BASE}successors", batch.claims[0].key, b"{}")  # type: ignore[arg-type]  # a member is bytes
        at = desk.start + 5 * HOUR
        assert await desk.store.reschedule("s", at, of_state=State.SCHEDULED) is State.SCHEDULED
        assert await desk.found() == (b"two", 5 * HOUR, State.SCHEDULED, 0)
        assert await desk.hlen("successors") == 0

    async def test_what_a_newer_version_has_changed_in_hand_is_left_to_that(
        self, desk: Desk
    ) -> None:
        batch = await desk.follow()
        value = await desk.client.hget(f"{BASE}messages", "s")
        assert isinstance(value, bytes)
        line, creation, _ = value.split(b"\n", 2)
        newer = b"\n".join([line, creation, b"\x92\x63\xa5newer"])
        await desk.client.hset(f"{BASE}messages", "s", newer)
        assert await desk.tell(batch, Bury("x", desk.next(batch)))
        stats = await desk.store.stats()
        assert (stats.scheduled, stats.claimed, stats.dead) == (1, 0, 0)
        assert stats.next_due is not None
        assert await desk.ensure(desk.series()) is Ensured.NEWER
        assert await desk.client.hget(f"{BASE}messages", "s") == newer

    @pytest.mark.parametrize("name", ["successors", "declared", "floors", "by:billing"])
    async def test_a_key_is_gone(self, desk: Desk, name: str) -> None:
        """The next start says all of it again."""
        batch = await desk.follow()
        await desk.ensure(desk.series(b"two", every=1.5), declared=Declared("billing", 1))
        await desk.client.delete(f"{BASE}{name}")
        assert await desk.store.mend() == []
        wanted = desk.series(b"two", every=1.5)
        outcome = await desk.ensure(wanted, declared=Declared("billing", 2))
        assert outcome is (Ensured.FOLLOWS if name == "successors" else Ensured.SAME)
        assert await desk.store.undeclare("billing", 2) == []
        assert await desk.tell(batch, desk.next(batch))
        assert await desk.found() == (b"two", 1.5 * HOUR, State.SCHEDULED, 1)
        assert await desk.store.undeclare("billing", 3) == [("s", State.SCHEDULED)]
        assert await _names(desk) == {"meta", "numbers", "floors"}

    async def test_a_set_that_is_somebody_elses_is_refused_before_anything(
        self, desk: Desk
    ) -> None:
        await desk.client.set(f"{BASE}by:billing", "no set")
        with pytest.raises(StoreError, match="something else uses keys with this prefix"):
            await desk.ensure(desk.series(), declared=Declared("billing", 1))
        assert await desk.store.list(Filter()) == []

    async def test_a_name_that_changes_leaves_nothing_behind(self, desk: Desk) -> None:
        batch = await desk.follow("tock")
        assert await desk.tell(batch, desk.next(batch))
        assert await desk.found() == (b"two", 1.5 * HOUR, State.SCHEDULED, 1)
        assert await desk.client.smembers(f"{BASE}names") == {b"tock"}  # type: ignore[misc]  # redis-py says it may be no coroutine
        assert await desk.store.mend() == []
        await desk.store.cancel(["s"])
        assert await _names(desk) == {"meta", "numbers"}


async def _names(desk: Desk) -> set[str]:
    return {key.decode().removeprefix(BASE) async for key in desk.client.scan_iter("*")}


async def test_generations_of_any_size_are_told_apart(desk: Desk) -> None:
    """Numbers of Lua are exact to 15 digits, or so."""
    numbers = [0, 1, 2**53, 2**53 + 1, 2**60, 2**60 + 1, 2**63 - 2, 2**63 - 1]
    for number in numbers:
        by = Declared("billing", number)
        assert await desk.ensure(desk.series(), declared=by) in (Ensured.STORED, Ensured.SAME)
        older = Declared("billing", number - 1)
        if number:
            assert await desk.ensure(desk.series(), declared=older) is Ensured.OLDER
        assert await desk.store.undeclare("billing", number) == []
    assert await desk.store.undeclare("billing", 2**63 - 1) == []


async def test_undeclare_goes_through_all_of_a_large_set(desk: Desk) -> None:
    many = [Message("tick", id=f"s{number}", recurrence=Every(HOUR)) for number in range(1500)]
    outcomes = await desk.store.ensure(many, declared=Declared("billing", 1))
    assert set(outcomes) == {Ensured.STORED}
    await desk.store.ensure(many[:700], declared=Declared("billing", 2))
    gone = await desk.store.undeclare("billing", 2)
    assert sorted(id for id, _ in gone) == sorted(each.id for each in many[700:])
    assert len(await desk.store.undeclare("billing", 3)) == 700
    assert await _names(desk) == {"meta", "numbers", "floors"}


async def test_the_last_moments_are_kept_to_the_microsecond(desk: Desk) -> None:
    """Doubles are not exact that late; what becomes of a series is."""
    late = from_microseconds(2**53 * 10 + 7)
    rule = Every(HOUR, anchor=late)
    await desk.put(desk.message("s", "tick", b"one", recurrence=Every(HOUR)))
    batch = await desk.claim()
    wanted = Message("tick", b"two", id="s", recurrence=rule)
    assert await desk.ensure(wanted) is Ensured.FOLLOWS
    assert await desk.ensure(wanted) is Ensured.SAME
    found = await desk.store.where("s")
    assert found is not None
    assert found.follows is not None
    assert await desk.tell(batch, desk.next(batch))
    after = await desk.store.get("s")
    assert after is not None
    assert after.scheduled_at == found.follows.scheduled_at


async def test_a_full_memory_and_a_replica_leave_nothing_half_done(desk: Desk) -> None:
    batch = await desk.follow()
    await desk.ensure(desk.series(b"two", every=1.5), declared=Declared("billing", 1))
    before = await _dump(desk)
    wanted = [desk.series(b"three", every=2), Message("e", id="new", recurrence=Every(HOUR))]
    await desk.client.config_set("maxmemory", "1")
    try:
        for by in (None, Declared("billing", 1), Declared("billing", 2)):
            with pytest.raises(StoreError, match="unavailable"):
                await desk.store.ensure(wanted, declared=by)
        assert await _dump(desk) == before
        assert await desk.tell(batch, desk.next(batch))  # it makes room, or needs little
        assert await desk.found() == (b"two", 1.5 * HOUR, State.SCHEDULED, 1)
        assert await desk.store.undeclare("billing", 2) == [("s", State.SCHEDULED)]
    finally:
        await desk.client.config_set("maxmemory", "0")
    assert await desk.store.ensure(wanted) == [Ensured.STORED] * 2
    before = await _dump(desk)
    await desk.client.config_set("min-replicas-to-write", "1")
    try:
        with pytest.raises(StoreError, match="unavailable"):
            await desk.store.ensure([desk.series(b"four")])
        with pytest.raises(StoreError, match="unavailable"):
            await desk.store.undeclare("billing", 9)
    finally:
        await desk.client.config_set("min-replicas-to-write", "0")
    assert await _dump(desk) == before


async def _dump(desk: Desk) -> dict[str, bytes | None]:
    return {name: await desk.client.dump(f"{BASE}{name}") for name in NAMES}


async def test_the_same_series_again_is_looked_at_and_no_more(desk: Desk) -> None:
    many = [Message("tick", id=f"s{number}", recurrence=Every(HOUR)) for number in range(50)]
    by = Declared("billing", 1)
    await desk.store.ensure(many, declared=by)
    before = await _dump(desk)
    await desk.client.config_resetstat()
    assert set(await desk.store.ensure(many, declared=by)) == {Ensured.SAME}
    asked = await desk.client.info("commandstats")
    assert asked["cmdstat_evalsha"]["calls"] == 2  # the floor, and the look
    assert {"cmdstat_hset", "cmdstat_zadd", "cmdstat_sadd"}.isdisjoint(asked)
    assert await _dump(desk) == before
