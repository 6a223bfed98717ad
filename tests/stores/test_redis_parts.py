"""A Cluster of which one primary is gone or hangs: its shards wait, those of the others go on."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count

import pytest
from tests.journeys.kit import until
from tests.servers.redis_cluster import ClusterNode, RedisCluster

from duly import (
    Client,
    Envelope,
    Message,
    PartlyScheduled,
    Scheduler,
    Status,
    StoreUnavailable,
    after,
)
from duly_redis.keys import home, shards

SHARDS = 6
SETTINGS = (
    "--cluster-require-full-coverage", "no", "--appendonly", "yes", "--appendfsync", "always",
)  # fmt: skip
numbers = count()


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster(*SETTINGS) as cluster:
        yield cluster


class Story:
    """A store in a Cluster, a scheduler that delivers from it, and one primary to be hurt."""

    def __init__(self, cluster: RedisCluster) -> None:
        self.prefix = f"parts-{next(numbers)}:"
        self.url = f"{cluster.url}?key_prefix={self.prefix}&shards={SHARDS}"
        primaries = [cluster.primary_of(self._key(n)) for n in range(SHARDS)]
        # The first shard keeps the notes: without that one nobody knows what is paused.
        self.victim: ClusterNode = next(each for each in primaries if each is not primaries[0])
        self.hurt = [n for n in range(SHARDS) if cluster.primary_of(self._key(n)) is self.victim]
        self.arrived: Counter[str] = Counter()
        self.gate = asyncio.Event()
        self.gate.set()
        self.scheduler = Scheduler(self.url, self.publish, stuck_duration=timedelta(minutes=5))

    def _key(self, number: int) -> str:
        return f"{shards(self.prefix, SHARDS)[number].base}due"

    async def publish(self, envelope: Envelope) -> None:
        if envelope.event_name == "gated":
            await self.gate.wait()
        self.arrived[envelope.message_id] += 1

    def messages(self, many: int, of: Callable[[int], bool], name: str = "event") -> list[Message]:
        """So many messages, due now, of those shards."""
        ids = (f"m{number}" for number in numbers)
        return [
            Message(name, id=id, scheduled_at=after())
            for id, _ in zip((id for id in ids if of(home(id, SHARDS))), range(many), strict=False)
        ]

    def of_victim(self, number: int) -> bool:
        return number in self.hurt

    def of_others(self, number: int) -> bool:
        return number not in self.hurt

    async def insist(self, messages: Sequence[Message]) -> None:
        """Schedule until each is acknowledged."""
        left = list(messages)

        async def stored() -> bool:
            try:
                await self.scheduler.schedule_many(left, atomic=False)
            except PartlyScheduled as error:
                left[:] = [each for each in left if each.id not in error.stored_ids]
                return False
            except StoreUnavailable:
                return False
            return True

        await until(stored)

    async def have_arrived(self, messages: Sequence[Message]) -> None:
        wanted = {each.id for each in messages}

        async def there() -> bool:
            return wanted <= self.arrived.keys()

        await until(there)

    async def count_to(self, claimed: int) -> None:
        """Wait until so many are claimed, and none waits."""

        async def counted() -> bool:
            try:
                stats = await self.scheduler.stats()
            except StoreUnavailable:
                return False
            return (stats.scheduled, stats.claimed) == (0, claimed)

        await until(counted)


@asynccontextmanager
async def story(cluster: RedisCluster) -> AsyncIterator[Story]:
    story = Story(cluster)
    async with story.scheduler, story.scheduler.running():
        yield story


def freeze(node: ClusterNode) -> None:
    node.freeze()


def thaw(node: ClusterNode) -> None:
    node.thaw()


def kill(node: ClusterNode) -> None:
    node.kill()


def start(node: ClusterNode) -> None:
    node.start()


@pytest.mark.parametrize(("hurt", "heal"), [(freeze, thaw), (kill, start)], ids=["hangs", "dies"])
async def test_its_shards_wait_and_the_others_go_on(
    cluster: RedisCluster,
    hurt: Callable[[ClusterNode], None],
    heal: Callable[[ClusterNode], None],
) -> None:
    async with story(cluster) as told:
        told.gate.clear()
        held = told.messages(60, lambda _: True, "gated")
        later = told.messages(10, told.of_victim)
        await told.insist(held)
        await told.count_to(claimed=60)
        hurt(told.victim)
        try:
            told.gate.set()  # what is settled now has an outcome in some shards only
            for _ in range(3):
                meanwhile = told.messages(20, told.of_others)
                await told.insist(meanwhile)
                await told.have_arrived(meanwhile)

            # That they are settled too nobody can count yet, but look at.
            async def settled() -> bool:
                kept = [each for each in held if told.of_others(home(each.id, SHARDS))]
                found = await asyncio.gather(
                    *(told.scheduler.get(each.id) for each in kept), return_exceptions=True
                )
                return all(isinstance(each, LookupError) for each in found)

            await until(settled)
            health = await told.scheduler.health()
            assert health.status is Status.DEGRADED
            assert health.reason.count("has not answered since") == len(told.hurt), health
            with pytest.raises(StoreUnavailable, match="has not answered since"):
                await told.scheduler.schedule(later[0])
        finally:
            heal(told.victim)

        await told.insist(later)
        await told.have_arrived(later)
        await told.count_to(claimed=0)
        assert {told.arrived[each.id] for each in held} == {1}
        health = await told.scheduler.health()
        assert "has not answered" not in health.reason
        assert health.details["dead"] == 0


async def test_who_only_schedules_is_held_up_for_a_moment_by_a_server_that_hangs(
    cluster: RedisCluster,
) -> None:
    told = Story(cluster)
    async with Client(told.url) as client:
        await client.schedule_many(told.messages(6, lambda _: True), atomic=False)
        freeze(told.victim)
        try:
            good, bad = told.messages(5, told.of_others), told.messages(5, told.of_victim)
            both = [each for pair in zip(good, bad, strict=True) for each in pair]
            calls = [asyncio.create_task(client.schedule(each)) for each in both]
            results = await asyncio.gather(*calls, return_exceptions=True)
            failed = {
                each.id
                for each, result in zip(both, results, strict=True)
                if isinstance(result, BaseException)
            }
            assert failed == {each.id for each in bad}
            alone = told.messages(1, told.of_victim)
            with pytest.raises(StoreUnavailable):
                await client.schedule(alone[0])
        finally:
            thaw(told.victim)


async def test_who_asks_one_that_hangs_alone_finds_out_that_others_are_there(
    cluster: RedisCluster,
) -> None:
    """Else each such call would hold up those that share its way to the store, for as long."""
    told = Story(cluster)
    bad = told.messages(3, told.of_victim)
    async with Client(told.url, store_timeout=timedelta(seconds=30)) as client:
        await client.stats()
        freeze(told.victim)
        try:
            with pytest.raises(StoreUnavailable, match="others have answered"):
                await client.schedule(bad[0])
            for each in bad:
                if home(each.id, SHARDS) == home(bad[0].id, SHARDS):
                    with pytest.raises(StoreUnavailable, match="has not answered since"):
                        await client.schedule(each)
        finally:
            thaw(told.victim)


async def test_a_replica_takes_over_from_a_primary_that_hangs() -> None:
    with RedisCluster(replicas=True) as cluster:
        async with story(cluster) as told:
            first = told.messages(12, lambda _: True)
            await told.insist(first)
            await told.have_arrived(first)
            freeze(told.victim)
            second = told.messages(12, lambda _: True)

            await told.insist(second)
            await told.have_arrived(second)
            await told.count_to(claimed=0)
            health = await told.scheduler.health()
            assert "has not answered" not in health.reason
