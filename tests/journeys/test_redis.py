"""Whole stories on Redis: killed schedulers, servers that die, hang and come back, great crowds."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from tests.journeys.kit import Journey, batch, ids_of, slow, until
from tests.journeys.props import Gate
from tests.servers.redis import RedisServer, lines
from tests.servers.redis_cluster import RedisCluster
from tests.servers.redis_sentinel import RedisSentinelGroup

from duly import Client, Envelope, Message, Scheduler, StoreUnavailable, after

PREFIX = "journey:"
OPTION = f"?key_prefix={PREFIX}"


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@asynccontextmanager
async def journey_on(server: RedisServer, folder: Path) -> AsyncIterator[Journey]:
    server.ask("FLUSHALL")
    async with Journey(folder, server.url + OPTION) as journey:
        yield journey


async def test_killed_with_500_claims(server: RedisServer, tmp_path: Path, gate: Gate) -> None:
    async with journey_on(server, tmp_path) as journey:
        messages = batch(600, "gated", metadata=gate.metadata)
        await journey.client.schedule_many(messages)
        first = await journey.start(lease=2, batch=500, slots=500)

        async def full() -> bool:
            return (await journey.client.stats()).claimed >= 500

        await until(full)
        await first.kill()
        held = (await journey.client.stats()).claimed
        gate.open()
        second = await journey.start(lease=30, batch=500, slots=500)
        await journey.emptied()
        await second.stop()
        assert set(journey.count("done")) == ids_of(messages)
        attempts = Counter(note.attempt for note in second.notes("begun"))
        assert attempts == Counter({2: held, 1: 600 - held})
        assert not journey.early()
        assert (await journey.client.stats()).dead == 0


class Failover:
    """A primary of some servers that has a replica, and a URL that leads to whoever is primary."""

    def __init__(self, url: str, primary: RedisServer, replica: RedisServer) -> None:
        self.url = url
        self.primary = primary
        self.replica = replica

    async def caught_up(self) -> None:
        """Wait until the replica has all that the primary has acknowledged by now."""
        wanted = int(lines(self.primary.ask("INFO", "replication"))["master_repl_offset"])

        async def has() -> bool:
            return (
                int(lines(self.replica.ask("INFO", "replication"))["slave_repl_offset"]) >= wanted
            )

        await until(has)


@asynccontextmanager
async def cluster() -> AsyncIterator[Failover]:
    with RedisCluster(replicas=True) as servers:
        primary = servers.primary_of(f"{{{PREFIX}}}")
        replica = servers.replicas[servers.primaries.index(primary)]
        yield Failover(servers.url + OPTION, primary, replica)


@asynccontextmanager
async def sentinel() -> AsyncIterator[Failover]:
    with RedisSentinelGroup() as group:
        yield Failover(group.url + OPTION, group.primary, group.replica)


async def insist(client: Client, message: Message) -> None:
    """Schedule, and again until it is acknowledged; the very same message is no duplicate."""

    async def stored() -> bool:
        try:
            await client.schedule(message)
        except StoreUnavailable:
            return False
        return True

    await until(stored)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("servers", [cluster, pytest.param(sentinel, marks=pytest.mark.slow)])
async def test_the_primary_is_killed_under_load(
    servers: Callable[[], AbstractAsyncContextManager[Failover]], tmp_path: Path
) -> None:
    async with servers() as failover, Journey(tmp_path, failover.url) as journey:
        worker = await journey.start(lease=3, batch=20, slots=20)
        messages = [*slow(300, 0.05), *batch(50, due=4, prefix="later")]
        await journey.client.schedule_many(messages)
        await worker.noted("done", 50)
        await failover.caught_up()
        failover.primary.kill()
        # Some are scheduled while nobody is primary; whoever is next acknowledges them.
        more = batch(20, prefix="meanwhile")
        await asyncio.gather(*(insist(journey.client, message) for message in more))
        await journey.emptied()
        await worker.stop()
        assert set(journey.count("done")) == ids_of([*messages, *more])
        assert not journey.early()
        assert (await journey.client.stats()).dead == 0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seconds", [2, pytest.param(15, marks=pytest.mark.slow)])
async def test_a_server_that_hangs(tmp_path: Path, gate: Gate, seconds: int) -> None:
    with RedisServer() as server:
        async with journey_on(server, tmp_path) as journey:
            messages = [*batch(40), *batch(40, "gated", metadata=gate.metadata)]
            await journey.client.schedule_many(messages)
            worker = await journey.start(lease=60)
            await worker.noted("settled", 40)
            server.freeze()
            gate.open()
            meanwhile = batch(10, prefix="meanwhile")
            storing = [asyncio.create_task(insist(journey.client, each)) for each in meanwhile]
            await asyncio.sleep(seconds)
            server.thaw()
            await asyncio.gather(*storing)
            await journey.emptied()
            await worker.stop()
            assert set(journey.count("done")) == ids_of([*messages, *meanwhile])
            # However long it lasts: no lease was lost, and what was claimed for nobody came back.
            assert {note.attempt for note in journey.notes("begun")} == {1}
            assert not journey.early()


async def test_a_restart_with_an_append_only_file(tmp_path: Path, gate: Gate) -> None:
    with RedisServer("--appendonly", "yes", "--appendfsync", "always") as server:
        async with journey_on(server, tmp_path) as journey:
            worker = await journey.start(lease=60)
            gated = batch(20, "gated", metadata=gate.metadata)
            messages = [*batch(100), *gated, *batch(50, due=1, prefix="later")]
            await journey.client.schedule_many(messages)
            await worker.noted("settled", 100)
            server.kill()
            gate.open()
            with pytest.raises(StoreUnavailable):
                await journey.client.schedule(messages[0])
            server.start()
            last = Message("quick", id="last", scheduled_at=after())
            await insist(journey.client, last)
            await journey.emptied()
            await worker.stop()
            assert journey.count("done") == dict.fromkeys(ids_of([*messages, last]), 1)
            assert not journey.early()


async def test_fair_shares(server: RedisServer, tmp_path: Path) -> None:
    async with journey_on(server, tmp_path) as journey:
        workers = [await journey.start(batch=4, slots=4) for _ in range(2)]
        messages = slow(300, 0.1, due=-1)
        await journey.client.schedule_many(messages)
        await journey.emptied()
        for worker in workers:
            await worker.stop()
        assert journey.count("done") == dict.fromkeys(ids_of(messages), 1)
        assert min(len(worker.notes("done")) for worker in workers) > 60


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
async def test_many_due_in_one_second(server: RedisServer, count: int) -> None:
    server.ask("FLUSHALL")
    seen: Counter[str] = Counter()
    done = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        seen[envelope.message_id] += 1
        if len(seen) == count:
            done.set()

    first, step = after(seconds=2), timedelta(seconds=1) / count
    messages = [
        Message(f"event-{number % 5}", id=str(number), scheduled_at=first + number * step)
        for number in range(count)
    ]
    async with Scheduler(server.url, handle, batch_size=1000) as scheduler:
        for start in range(0, count, 10_000):
            await scheduler.schedule_many(messages[start : start + 10_000])
        async with scheduler.running():
            await done.wait()
        stats = await scheduler.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (0, 0, 0)
    assert set(seen.values()) == {1}
