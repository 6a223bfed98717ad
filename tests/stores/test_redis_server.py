"""The Redis store on servers of its own: settings, scripts that get lost, wake-ups, what it costs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RedisServer

from duly import (
    Client,
    Envelope,
    Filter,
    Message,
    Scheduler,
    State,
    StoreError,
    StoreUnavailable,
    after,
)
from duly.store import Bury, Counters, Group, Reschedule, Settle
from duly.testing.clock import HandClock
from duly_redis import RedisStore
from duly_redis.plugin import store_from_url

pytest_plugins = ["duly.testing"]

MINUTE = timedelta(minutes=1)
PATIENCE = 20  # seconds


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis(port=server.port) as client:
        await client.flushall()
        yield client


@pytest.fixture
async def store(server: RedisServer, client: Redis) -> AsyncIterator[RedisStore]:
    store = store_from_url(server.url)
    await store.open()
    yield store
    await store.close()


def due(count: int, name: str = "event") -> list[Message]:
    return [Message(name, id=f"m{each}", scheduled_at=after(seconds=-60)) for each in range(count)]


async def _forever(client: Redis) -> None:
    await client.execute_command("EVAL", "while true do end", 0)


class TestHealth:
    async def test_a_server_that_keeps_nothing(self, store: RedisStore) -> None:
        (doubt,) = await store.check()
        assert "keeps nothing when it restarts" in doubt

    async def test_a_server_that_drops_what_it_likes(
        self, store: RedisStore, client: Redis
    ) -> None:
        try:
            await client.config_set("save", "3600 1")
            (doubt,) = await store.check()
            assert "forgets what came in since its last snapshot" in doubt
            assert "set appendonly to yes" in doubt
            await client.config_set("appendonly", "yes")
            assert list(await store.check()) == []
            await client.config_set("maxmemory-policy", "allkeys-lru")
            assert list(await store.check()) == []  # as long as there is no limit
            await client.config_set("maxmemory", "100mb")
            (doubt,) = await store.check()
            assert (
                "may drop messages when its memory is full (maxmemory-policy is allkeys-lru)"
                in doubt
            )
            async with Client(store) as door:
                health = await door.health()
                assert (health.status.value, "allkeys-lru" in health.reason) == ("degraded", True)
            await client.config_set("maxmemory-policy", "volatile-lru")
            assert list(await store.check()) == []  # our keys have no time to live
        finally:
            for name, value in (
                ("save", ""),
                ("appendonly", "no"),
                ("maxmemory", "0"),
                ("maxmemory-policy", "noeviction"),
            ):
                await client.config_set(name, value)

    async def test_an_append_only_file_is_enough(self) -> None:
        with RedisServer("--appendonly", "yes") as other:
            store = store_from_url(other.url)
            await store.open()
            assert list(await store.check()) == []
            await store.close()


class TestScripts:
    async def test_flushed_in_mid_run(self, store: RedisStore, client: Redis) -> None:
        async def flush() -> None:
            while True:
                await client.script_flush()
                await asyncio.sleep(0)

        flushing = asyncio.create_task(flush())
        messages = due(300)
        assert list(await store.put([Group(messages)])) == [None]
        delivered: list[str] = []
        settle: list[Settle] = []
        while (batch := await store.claim(limit=7, lease=MINUTE, owner="o", settle=settle)).token:
            assert all(batch.settled)
            delivered += [claim.message.id for claim in batch.claims]
            settle = [Settle(batch.token)]
        flushing.cancel()
        assert delivered == [message.id for message in messages]

    async def test_a_full_memory_stores_nothing_by_halves(
        self, store: RedisStore, client: Redis
    ) -> None:
        await store.put([Group(due(10))])
        batch = await store.claim(limit=5, lease=MINUTE, owner="o")
        assert batch.token
        try:
            await client.config_set("maxmemory", "1")
            with pytest.raises(StoreUnavailable, match="maxmemory"):
                await store.put([Group([Message("event", id="new", scheduled_at=after())])])
            assert await store.get("new") is None
        finally:
            await client.config_set("maxmemory", "0")
        assert list(await store.settle([Settle(batch.token)])) == [True]
        assert (await store.stats()).scheduled == 5

    async def test_a_full_memory_lets_deliveries_make_room(
        self, store: RedisStore, client: Redis
    ) -> None:
        await store.put([Group(due(20))])
        lost = await store.claim(limit=5, lease=timedelta(milliseconds=200), owner="dies")
        held = await store.claim(limit=5, lease=MINUTE, owner="o")
        assert held.token
        first, second, *_ = [claim.key for claim in held.claims]
        again = Reschedule(after(hours=1), Counters(held.claims[0].message.scheduled_at, 1))
        try:
            await client.config_set("maxmemory", "1")
            other = RedisStore(client, key_prefix=store._prefix)
            await other.open()
            await other.close()
            (gone,) = await store.renew([held.token], MINUTE)
            assert gone is not None
            assert not gone
            part = Settle(held.token, {first: again, second: Bury("broken")}, [first, second])
            assert list(await store.settle([part])) == [True]
            assert list(await store.settle([Settle(held.token)])) == [True]
            waiting = [each.id for each in await store.list(Filter(state=State.SCHEDULED))]
            assert list(await store.cancel([waiting[-1]])) == [State.SCHEDULED]
            (dead,) = await store.list(Filter(state=State.DEAD))
            assert await store.reschedule(dead.id, None, of_state=State.DEAD) is State.DEAD
            await asyncio.sleep(0.25)
            delivered: list[str] = []
            while (batch := await store.claim(limit=7, lease=MINUTE, owner="o")).token:
                delivered += [claim.message.id for claim in batch.claims]
                assert list(await store.settle([Settle(batch.token)])) == [True]
            assert {claim.message.id for claim in lost.claims} < {*delivered}
            assert len(delivered) == 15
        finally:
            await client.config_set("maxmemory", "0")
        assert (await store.stats()).scheduled == 1, "what waits for its next try"

    async def test_a_server_in_a_script_of_somebody_else(
        self, store: RedisStore, client: Redis
    ) -> None:
        await client.config_set("lua-time-limit", "10")
        busy = asyncio.ensure_future(_forever(client))
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        await store.stats()
                    except StoreUnavailable as error:
                        assert "busy" in str(error).lower()  # noqa: PT017  # it may take its time
                        break
                    await asyncio.sleep(0.01)
        finally:
            async with Redis.from_url(
                f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}"
            ) as other:
                await other.script_kill()
            await asyncio.gather(busy, return_exceptions=True)
            await client.config_set("lua-time-limit", "5000")
        assert (await store.stats()).scheduled == 0

    async def test_a_claim_asked_twice_by_the_driver(self, store: RedisStore) -> None:
        """A user's client may send a command again when its answer is lost."""
        await store.put([Group(due(10))])
        send = store._calls._send

        async def twice(command: str, script: str | bytes, rest: list[object]) -> object:
            await send(command, script, rest)
            return await send(command, script, rest)

        store._calls._send = twice  # type: ignore[method-assign, assignment]  # the driver at fault
        batch = await store.claim(limit=4, lease=MINUTE, owner="o")
        del store._calls._send
        assert [claim.message.id for claim in batch.claims] == ["m0", "m1", "m2", "m3"]
        assert (await store.stats()).claimed == 4
        assert batch.token
        assert list(await store.settle([Settle(batch.token)])) == [True]
        assert (await store.stats()).scheduled == 6


class TestAnswersThatAreLost:
    async def test_what_was_claimed_for_nobody_is_back_at_once(
        self, server: RedisServer, store: RedisStore
    ) -> None:
        await store.put([Group(due(10))])
        await store.claim(limit=1, lease=MINUTE, owner="o")
        server.freeze()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await store.claim(limit=5, lease=MINUTE, owner="o")
        server.thaw()
        found: list[str] = []
        async with asyncio.timeout(PATIENCE):
            while len(found) < 9:
                batch = await store.claim(limit=5, lease=MINUTE, owner="o")
                found += [claim.message.id for claim in batch.claims]
                assert {claim.lapses for claim in batch.claims} <= {0}
        assert sorted(found) == [f"m{each}" for each in range(1, 10)]

    async def test_after_a_hang_that_outlives_the_lease(
        self, server: RedisServer, client: Redis, hand_clock: HandClock
    ) -> None:
        """By the server's clock the lease of what it carries out late has only begun."""
        store = store_from_url(server.url)
        store._clock = hand_clock
        await store.open()
        at = hand_clock() - MINUTE
        await store.put([Group([Message("event", id="a", scheduled_at=at)])])
        server.freeze()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await store.claim(limit=5, lease=timedelta(milliseconds=1), owner="o")
        server.thaw()
        async with asyncio.timeout(PATIENCE):
            while not (batch := await store.claim(limit=5, lease=MINUTE, owner="o")).claims:  # noqa: ASYNC110  # carried out when it has thawed
                await asyncio.sleep(0.01)  # what hung is carried out by and by
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 0)]
        await store.close()

    async def test_closing_gives_it_back(self, server: RedisServer, store: RedisStore) -> None:
        await store.put([Group(due(3))])
        server.freeze()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await store.claim(limit=5, lease=MINUTE, owner="o")
        server.thaw()
        other = store_from_url(server.url)
        await other.open()
        async with asyncio.timeout(PATIENCE):
            while not (await other.stats()).claimed:  # noqa: ASYNC110  # carried out when it has thawed
                await asyncio.sleep(0.01)
        await store.close()
        assert (await other.stats()).scheduled == 3
        await other.close()


class TestWakeups:
    async def test_across_a_lost_connection(self, store: RedisStore, client: Redis) -> None:
        waits = [asyncio.create_task(store.wait_for_change())]
        await waits[0]  # joined
        for turn in range(3):
            assert await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub") == 1
            async with asyncio.timeout(PATIENCE):
                await store.wait_for_change()  # joined anew: nobody knows what was said meanwhile
            message = Message("event", id=f"m{turn}", scheduled_at=after(seconds=-turn))
            await store.put([Group([message])])
            async with asyncio.timeout(PATIENCE):
                await store.wait_for_change()

    async def test_only_who_is_earlier_wakes(self, store: RedisStore, client: Redis) -> None:
        pubsub = client.pubsub()
        await pubsub.subscribe("scheduler:{scheduler:}wake")
        assert await pubsub.get_message(timeout=PATIENCE)
        for id, hours in (("a", 5), ("b", 6), ("c", 5), ("d", 4), ("e", 7)):
            await store.put([Group([Message("event", id=id, scheduled_at=after(hours=hours))])])
        await store.reschedule("a", after(hours=1), of_state=State.SCHEDULED)
        await client.publish("scheduler:{scheduler:}wake", "end")
        heard = 0
        while (said := await pubsub.get_message(timeout=PATIENCE)) and said["data"] != b"end":
            heard += 1
        assert heard == 3  # a, d, and a again
        await pubsub.aclose()


async def test_what_idleness_costs(server: RedisServer, client: Redis) -> None:
    async def handle(envelope: Envelope) -> None: ...

    async with Scheduler(server.url, handle) as scheduler:
        await scheduler.schedule(Message("event", scheduled_at=after(hours=1)))
        async with scheduler.running():
            await asyncio.sleep(1)
            before = (await client.info("stats"))["total_commands_processed"]
            await asyncio.sleep(4)
            used = (await client.info("stats"))["total_commands_processed"] - before
    # One of these is our own question; a script counts with what it asks in its turn.
    assert used - 1 <= 4 * 12


async def test_a_message_that_somebody_deletes(store: RedisStore, client: Redis) -> None:
    await store.put([Group(due(3))])
    await client.hdel("scheduler:{scheduler:}messages", "m1")
    await store.put([Group([Message("later", id="alone", scheduled_at=after(seconds=-30))])])
    await client.hdel("scheduler:{scheduler:}messages", "alone")
    batch = await store.claim(limit=3, lease=MINUTE, owner="o")
    assert [claim.message.id for claim in batch.claims] == ["m0", "m2"]
    assert batch.token
    assert list(await store.settle([Settle(batch.token)])) == [True]
    batch = await store.claim(limit=5, lease=MINUTE, owner="o")
    assert (batch.token, batch.next_due) == (None, None)
    kept = {key async for key in client.scan_iter("*")}
    assert kept == {b"scheduler:{scheduler:}meta", b"scheduler:{scheduler:}numbers"}


async def test_a_message_that_is_no_message(store: RedisStore, client: Redis) -> None:
    await store.put([Group(due(3))])
    for value in (b"", b"\n", b"no line", b"\xff\n\xff\n\xff", b"000000000002-event\nx\n\x90"):
        await client.hset("scheduler:{scheduler:}messages", "m1", value)
        shown = await store.get("m1")
        assert shown is not None
        assert (shown.event_name, shown.payload) == ("duly.unreadable", value)
        listed = [each.id for each in await store.list(Filter())]
        assert sorted(listed) == ["m0", "m1", "m2"]
    batch = await store.claim(limit=5, lease=MINUTE, owner="o")
    assert [claim.message.id for claim in batch.claims] == ["m0", "m2"]
    assert [letter.id for letter in batch.unreadable] == ["m1"]


async def test_an_answer_that_nobody_expects(store: RedisStore, client: Redis) -> None:
    await store.put([Group(due(1))])
    await client.delete("scheduler:{scheduler:}leases")
    await client.set("scheduler:{scheduler:}leases", "x")
    with pytest.raises(StoreError, match="something else uses keys with this prefix"):
        await store.claim(limit=5, lease=MINUTE, owner="o")


class TestGreatLapses:
    @pytest.mark.parametrize(("batches", "size"), [(12, 1000), (1005, 1)])
    async def test_they_come_back_in_parts(
        self, client: Redis, hand_clock: HandClock, batches: int, size: int
    ) -> None:
        store = RedisStore(client, clock=hand_clock)
        await store.open()
        count = batches * size
        at = hand_clock() - MINUTE
        messages = [Message("event", id=str(each), scheduled_at=at) for each in range(count)]
        for start in range(0, count, 5000):
            assert list(await store.put([Group(messages[start : start + 5000])])) == [None]
        for _ in range(batches):
            await store.claim(limit=size, lease=MINUTE, owner="o")
        hand_clock.advance(minutes=1)
        seen: set[str] = set()
        more = True
        while more:
            batch = await store.claim(limit=1000, lease=MINUTE, owner="o")
            more = batch.more
            seen |= {claim.message.id for claim in batch.claims}
            assert {claim.lapses for claim in batch.claims} == {1}
        assert len(seen) == count
        await store.close()


async def test_leases_that_somebody_deletes(store: RedisStore, client: Redis) -> None:
    """What was in them is lost to claims, but nobody else suffers."""
    await store.put([Group(due(2))])
    batch = await store.claim(limit=1, lease=timedelta(milliseconds=50), owner="o")
    await client.delete("scheduler:{scheduler:}leases")
    assert list(await store.renew([batch.token or ""], MINUTE)) == [None]
    assert list(await store.settle([Settle(batch.token or "")])) == [False]
    await asyncio.sleep(0.06)
    batch = await store.claim(limit=5, lease=MINUTE, owner="o")
    assert [claim.message.id for claim in batch.claims] == ["m1"]
    assert batch.next_due is None
