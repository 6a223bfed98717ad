"""The Redis store spread over several slots of a Cluster: what still holds, and fair shares."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from redis.asyncio import RedisCluster
from tests.servers.redis_cluster import redis_cluster_url
from tests.stores.redis_harness import RedisHarness

from duly import Client, DuplicateMessage, Filter, State, Stats, StoreError, Unsupported
from duly.record import given_at
from duly.store import PAUSED, Bury, Clock, Group, Settle
from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import Bench, NoteCases, WakeupCases
from duly.testing.stores.bench import ids, settle_of
from duly.testing.stores.caller_as_is import AsIsCases
from duly.testing.stores.caller_list import ListCases, PageCases
from duly.testing.stores.caller_repeats import RepeatCases
from duly.testing.stores.caller_replace import ReplaceCases
from duly.testing.stores.caller_states import OpenAndCloseCases, StateCases
from duly.testing.stores.declaring import DeclareCases
from duly.testing.stores.ensuring_again import EnsureAgainCases
from duly.testing.stores.ensuring_begun import EnsureBegunCases
from duly.testing.stores.ensuring_waiting import EnsureWaitingCases
from duly.testing.stores.ensuring_waking import EnsureWakingCases
from duly.testing.stores.lines_races import LineRaceCases
from duly.testing.stores.lines_races_ensuring import LineEnsureRaceCases
from duly.testing.stores.lines_races_moving import LineMoveRaceCases
from duly.testing.stores.recurring_buried import BuriedOccurrenceCases
from duly.testing.stores.settling_deaths import PostponeCases
from duly.testing.stores.settling_fencing import LapsedHolderCases
from duly.testing.stores.situations import HOUR
from duly_redis import RedisStore
from duly_redis.keys import home, shards

__all__ = ["redis_cluster_url"]

pytest_plugins = ["duly.testing"]


class OneByOne(RedisStore):
    """Takes groups apart, as who wants shards must; nobody else is at the store meanwhile."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        return [await self._put_group(group) for group in groups]

    async def _put_group(self, group: Group) -> Exception | None:
        if not group.replace:
            for message in group.messages:
                found = await self.get(message.id)
                if found is not None and given_at(found) != given_at(message):
                    return DuplicateMessage(message.id)
        singles = [Group([message], group.replace, group.as_is) for message in group.messages]
        outcomes = await super().put(singles)
        return next((outcome for outcome in outcomes if outcome is not None), None)


class Harness(RedisHarness):
    scale = 0.1
    shards = 3

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url: str) -> None:
        self.url = redis_cluster_url

    async def make_store(self, namespace: str, clock: Clock | None) -> RedisStore:
        prefix = f"duly-test-{namespace}:"
        return OneByOne(
            self.client_for(namespace), key_prefix=prefix, shards=self.shards, clock=clock
        )


class TestShards(
    Harness, WakeupCases, StateCases, RepeatCases, ReplaceCases, ListCases, PageCases, BuriedOccurrenceCases,
    LapsedHolderCases, OpenAndCloseCases, AsIsCases, PostponeCases, DeclareCases, EnsureAgainCases, EnsureBegunCases, EnsureWaitingCases,
    EnsureWakingCases, NoteCases,
):  # fmt: skip
    """Themes that ask neither for one batch of all that is due nor for its order."""

    no_outages = "tried on one server, in test_redis.py"


class TestLines(Harness, LineRaceCases, LineMoveRaceCases, LineEnsureRaceCases):
    """Sidings of several shards, and many who use them at once."""


class TestCrashPoints(Harness, CrashPointCases):
    """A scheduler is killed at each of its calls."""


class TestRandomLives(Harness, RandomLifeCases):
    """Everything goes wrong."""


class TestTogether(Harness):
    """What a claim makes of several shards."""

    async def make_store(self, namespace: str, clock: Clock | None) -> RedisStore:
        prefix = f"duly-test-{namespace}:"
        return RedisStore(
            self.client_for(namespace), key_prefix=prefix, shards=self.shards, clock=clock
        )

    def ids(self, *counts: int) -> Sequence[str]:
        """So many ids of each shard."""
        wanted = dict(enumerate(counts))
        found: list[str] = []
        number = 0
        while any(wanted.values()):
            number += 1
            if wanted[shard := home(f"m{number}", self.shards)]:
                wanted[shard] -= 1
                found.append(f"m{number}")
        return found

    async def put(self, desk: Bench, ids: Sequence[str], after: timedelta = timedelta(0)) -> None:
        groups = [Group([desk.message(id, after)]) for id in ids]
        assert await desk.outcomes(*groups) == [None] * len(ids)

    async def test_keys_are_on_every_primary(self, desk: Bench) -> None:
        client = self.client()
        assert isinstance(client, RedisCluster)
        await self.put(desk, self.ids(3, 3, 3))
        keys = await self.keys(desk.namespace)
        nodes = [client.get_node_from_key(key) for key in keys]
        assert len({node.port for node in nodes if node is not None}) == 3

    async def test_each_shard_has_sidings(self, desk: Bench) -> None:
        """One that has nothing else has more to give, and none is forgotten."""
        many = self.ids(4, 0, 5)
        await self.put(desk, many)
        moved = 0
        while (batch := await desk.claim(most={"*": PAUSED})).more:
            moved += batch.moved
            assert ids(batch) == []
        assert (moved + batch.moved, batch.aside) == (9, True)
        assert (await desk.store.stats()).aside == 9
        found: list[str] = []
        while (batch := await desk.claim(2)).claims:
            found += ids(batch)
            assert batch.more == (len(found) < len(many))
        assert sorted(found) == sorted(many)
        assert (await desk.store.stats()).aside == 0

    async def test_a_group_is_refused(self, desk: Bench) -> None:
        one, other, alone = self.ids(1, 1, 1)
        pair = Group([desk.message(one), desk.message(other)])
        outcomes = await desk.outcomes(pair, Group([desk.message(alone)]))
        assert outcomes == [Unsupported, None]
        assert await desk.listed() == [alone]

    async def test_a_client_stores_many_in_pieces(self, desk: Bench) -> None:
        messages = [desk.message(id) for id in self.ids(5, 5, 5)]
        async with Client(desk.store) as client:
            with pytest.raises(Unsupported):
                await client.schedule_many(messages)
            assert await client.stats() == Stats(scheduled=0, claimed=0, dead=0)
            await client.schedule_many(messages, atomic=False)
            assert (await client.stats()).scheduled == 15

    async def test_shards_have_their_turns(self, desk: Bench) -> None:
        await self.put(desk, self.ids(40, 40, 4))
        shares: list[int] = []
        while (batch := await desk.claim(4)).claims:
            (shard,) = {home(each, self.shards) for each in ids(batch)}
            shares.append(shard)
            assert batch.more == (len(shares) < 21)
        assert Counter(shares) == {0: 10, 1: 10, 2: 1}
        assert 2 in shares[:3]
        assert all(shares[at] != shares[at + 1] for at in range(18))

    async def test_each_shard_keeps_its_deaths(self, desk: Bench) -> None:
        wanted = self.ids(2, 2, 2)
        await self.put(desk, wanted)
        while (batch := await desk.claim(4)).claims:
            death = Bury("broken", error_class="Rejected")
            assert await desk.settle(batch, dict.fromkeys(ids(batch), death))
        before = await desk.store.list(Filter(state=State.DEAD))
        assert [each.id for each in before] == sorted(wanted)
        assert {(each.died_at, each.error_class) for each in before} == {(desk.start, "Rejected")}
        await desk.store.cancel(wanted)
        assert list(await self.leftovers(desk.namespace)) == []
        outcomes = await desk.outcomes(*(Group([each], as_is=True) for each in before))
        assert outcomes == [None] * len(before)
        after = await desk.store.list(Filter(state=State.DEAD))
        assert list(after) == list(before)
        assert {each.died_at for each in after} == {desk.start}

    async def test_what_a_shard_gave_is_not_kept_when_another_does_not_answer(
        self, desk: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The caller gives up, as after ``store_timeout``; none of it waits for its lease."""
        wanted = self.ids(6, 6, 6)
        await self.put(desk, wanted)
        claiming = desk.store._claiming  # type: ignore[attr-defined]  # of a RedisStore
        take = claiming._take

        async def two_answer(number: int, *rest: Any, **more: Any) -> Any:
            if number == 2:
                await asyncio.Event().wait()
            return await take(number, *rest, **more)

        for _ in range(6):
            with monkeypatch.context() as patched:
                patched.setattr(claiming, "_take", two_answer)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(desk.claim(2), 0.1)
        claims = await desk.claim_all(2)
        assert sorted(claim.message.id for claim in claims) == sorted(wanted)
        assert {claim.lapses for claim in claims} == {0}

    async def test_one_shard_that_has_something(self, desk: Bench) -> None:
        for counts in ((0, 0, 2), (2, 0, 0), (0, 2, 0)):
            wanted = self.ids(*counts)
            await self.put(desk, wanted)
            batch = await desk.claim()
            assert (ids(batch), batch.more) == (list(wanted), False)
            assert await desk.settle(batch)

    async def test_what_is_ahead_is_that_of_all(self, desk: Bench) -> None:
        for each, id in enumerate(self.ids(1, 1, 1), 1):
            await self.put(desk, [id], each * HOUR)
        for each in (1, 2, 3):
            batch = await desk.claim()
            assert (ids(batch), batch.next_due) == ([], desk.start + each * HOUR)
            await desk.pass_time(HOUR)
            batch = await desk.claim()
            assert len(batch.claims) == 1
            assert await desk.settle(batch)
        assert (await desk.claim()).next_due is None

    async def test_settles_go_where_they_belong(self, desk: Bench) -> None:
        await self.put(desk, self.ids(2, 2, 2))
        batches = [await desk.claim(2) for _ in range(3)]
        tokens = [batch.token or "" for batch in batches]
        answers = await desk.store.renew([*tokens, "unknown", "99-x"], HOUR)
        assert [None if each is None else len(each) for each in answers] == [0, 0, 0, None, None]
        settles = [settle_of(batch) for batch in reversed(batches)]
        batch = await desk.claim(settle=[*settles, Settle("unknown")])
        assert list(batch.settled) == [True, True, True, False]
        assert await desk.counts() == (0, 0, 0)

    async def test_a_shard_that_does_not_answer_costs_no_lease_of_the_others(
        self, desk: Bench
    ) -> None:
        await self.put(desk, self.ids(2, 2, 2))
        batches = {
            home(ids(batch)[0], self.shards): batch
            for batch in [await desk.claim(2) for _ in range(3)]
        }
        tokens = [batches[number].token or "" for number in range(3)]
        ends = shards(f"duly-test-{desk.namespace}:", self.shards)[0].key("ends")
        await self.client().rename(ends, ends + b"-kept")
        await self.client().set(ends, "no sorted set")
        with pytest.raises(StoreError):
            await desk.store.renew(tokens, 3 * HOUR)
        await self.client().rename(ends + b"-kept", ends)
        await desk.pass_time(2 * HOUR)
        settled = await desk.store.settle([Settle(token) for token in tokens])
        assert list(settled) == [False, True, True]

    async def test_a_shard_that_does_not_answer_costs_no_claims(self, desk: Bench) -> None:
        """What the others gave away meanwhile is back with the next claim, nothing counted."""
        wanted = self.ids(2, 2, 2)
        await self.put(desk, wanted)
        last = shards(f"duly-test-{desk.namespace}:", self.shards)[2]
        ends = last.key("ends")
        await self.client().set(ends, "no sorted set")
        for _ in range(3):
            with pytest.raises(StoreError):
                await desk.claim()
        await self.client().unlink(ends)
        claims = [*await desk.claim_all()]
        assert sorted(claim.message.id for claim in claims) == sorted(wanted)
        assert {claim.lapses for claim in claims} == {0}
