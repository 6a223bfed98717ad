"""Leases: how long they last, how they are renewed, what comes back when they lapse."""

import asyncio
from datetime import timedelta

from duly.message import State
from duly.store import Bury, Store
from duly.testing.stores.bench import LEASE, MICROSECOND, Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry


class LeaseCases(StoreHarness):
    """Leases that lapse."""

    async def test_a_lease_lapses_at_its_end(self, timed: Bench) -> None:
        await timed.put("a", "b")
        lease = 4 * timed.time.moment
        first = await timed.claim(lease=lease)
        while True:
            batch = await timed.claim()
            if batch.claims:
                break
            assert batch.now < first.now + lease, "lapsed, and not brought back"
            assert batch.next_due == first.now + lease
            await timed.pass_time(timed.time.moment / 10)
        assert batch.now >= first.now + lease, "brought back while it was held"
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 1), ("b", 1)]
        assert batch.token != first.token
        assert not await timed.settle(first)

    async def test_not_a_microsecond_before(self, desk: Bench) -> None:
        await desk.put("a")
        lease = timedelta(seconds=1, microseconds=3)
        first = await desk.claim(lease=lease)
        await desk.pass_time(lease - MICROSECOND)
        assert ids(await desk.claim()) == []
        assert await desk.renew(first, lease) == []
        await desk.pass_time(lease - MICROSECOND)
        assert await desk.settle(first, {}, only=[])
        await desk.pass_time(MICROSECOND)
        assert not await desk.settle(first, {}, only=[])
        assert await desk.renew(first) is None
        assert ids(await desk.claim()) == ["a"]

    async def test_what_lapsed_stands_at_its_old_place(self, timed: Bench) -> None:
        await timed.put("b", after=-2 * MINUTE)
        await timed.put("d1", "d2", "d3", after=-MINUTE)
        lease = 2 * timed.time.moment
        first = await timed.claim(3, lease=lease)
        assert ids(first) == ["b", "d1", "d2"]
        await timed.put("a", after=-3 * MINUTE)
        await timed.put("c", after=-MINUTE - self.resolution)
        await timed.put("d4", after=-MINUTE)
        await timed.pass_time(lease)
        batch = await timed.claim()
        assert ids(batch) == ["a", "b", "c", "d1", "d2", "d3", "d4"]
        assert [claim.lapses for claim in batch.claims] == [0, 1, 0, 1, 1, 0, 0]

    async def test_all_that_lapsed_comes_back_with_one_claim(self, desk: Bench) -> None:
        number = self.many(300)
        names = [f"m{each:04}" for each in range(number)]
        await desk.put(*names)
        for _ in range(3):
            await desk.claim(number // 3)
        await desk.claim()
        await desk.pass_time(LEASE)
        batch = await desk.claim(2)
        assert batch.more
        assert await desk.counts() == (number - 2, 2, 0)
        rest = await desk.claim_all()
        assert [*ids(batch), *(claim.message.id for claim in rest)] == names
        assert {claim.lapses for claim in (*batch.claims, *rest)} == {1}

    async def test_every_lapse_counts_once(self, timed: Bench) -> None:
        names = [f"m{each}" for each in range(6)]
        await timed.put(*names)
        lease = 3 * timed.time.moment
        first = await timed.claim(lease=lease)
        assert ids(first) == names
        stores: list[Store] = [timed.store, *[await timed.another() for _ in range(3)]]
        await timed.pass_time(lease)
        batches = await asyncio.gather(*(timed.claim(2, by=store) for store in stores * 2))
        claims = [claim for batch in batches for claim in batch.claims]
        claims += await timed.claim_all()
        assert sorted(claim.message.id for claim in claims) == names
        assert [claim.lapses for claim in claims] == [1] * 6

    async def test_lapses_add_up(self, desk: Bench) -> None:
        await desk.put("a")
        for lapses in range(5):
            batch = await desk.claim()
            assert [claim.lapses for claim in batch.claims] == [lapses]
            await desk.pass_time(LEASE)

    async def test_a_lapse_changes_nothing_else(self, desk: Bench) -> None:
        (message,) = await desk.put("a", after=-HOUR)
        before = (await desk.claim()).claims[0].message
        await desk.pass_time(LEASE)
        assert await desk.state("a") is State.CLAIMED
        await desk.put("z", after=-DAY)
        assert ids(await desk.claim(1)) == ["z"]
        assert await desk.store.get("a") == message
        (claim,) = (await desk.claim()).claims
        assert claim.message == before

    async def test_each_lease_has_its_own_end(self, desk: Bench) -> None:
        await desk.put(*"abc")
        for minutes in (3, 1, 2):
            await desk.claim(1, lease=minutes * MINUTE)
        for expected in ("b", "c", "a"):
            await desk.pass_time(MINUTE)
            assert ids(await desk.claim(lease=DAY)) == [expected]

    async def test_a_lapse_brings_back_only_what_is_left(self, timed: Bench) -> None:
        messages = await timed.put(*"abcdef")
        lease = 4 * timed.time.moment
        while True:
            batch = await timed.claim(lease=lease)
            assert ids(batch) == [*"abcdef"]
            outcomes: Outcomes = {"b": retry(messages[1]), "c": Bury("broken")}
            if await timed.settle(batch, outcomes, only="abc"):
                break  # else the machine was too slow and it lapsed: once more
        await timed.store.cancel(["d"])
        await timed.pass_time(lease)
        assert [claim.message.id for claim in await timed.claim_all()] == ["e", "f"]

    async def test_long_leases(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim(lease=timedelta(days=365))
        await desk.pass_time(timedelta(days=364))
        assert ids(await desk.claim()) == []
        assert await desk.settle(batch)


class RenewCases(StoreHarness):
    """``renew``."""

    async def test_a_renewed_lease_goes_on(self, timed: Bench) -> None:
        await timed.put("a", "b")
        lease = 4 * timed.time.moment
        while True:
            batch = await timed.claim(lease=lease)
            assert ids(batch) == ["a", "b"]
            if await timed.renew(batch, HOUR) is not None:
                break  # else the machine was too slow and it lapsed: once more
        await timed.pass_time(lease)
        assert ids(await timed.claim()) == []
        assert await timed.settle(batch)
        assert await timed.counts() == (0, 0, 0)

    async def test_counted_from_the_renewal(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim(lease=3 * MINUTE)
        await desk.pass_time(2 * MINUTE)
        assert await desk.renew(batch, 3 * MINUTE) == []
        await desk.pass_time(3 * MINUTE - MICROSECOND)
        assert await desk.renew(batch, MINUTE) == []
        await desk.pass_time(MINUTE)
        assert await desk.renew(batch, MINUTE) is None
        assert ids(await desk.claim()) == ["a"]

    async def test_a_renewal_may_shorten(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim(lease=HOUR)
        assert await desk.renew(batch, MINUTE) == []
        assert (await desk.claim()).next_due == desk.start + MINUTE
        await desk.pass_time(MINUTE)
        assert ids(await desk.claim()) == ["a"]

    async def test_a_lost_lease(self, timed: Bench) -> None:
        await timed.put("a")
        lease = 4 * timed.time.moment
        first = await timed.claim(lease=lease)
        await timed.pass_time(lease)
        assert await timed.renew(first) is None
        second = await timed.claim()
        assert ids(second) == ["a"]
        assert await timed.renew(first) is None
        assert await timed.renew(second) == []
        assert await timed.settle(second)
        assert await timed.renew(second) is None

    async def test_a_lost_renewal_revives_nothing(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        await desk.pass_time(LEASE)
        assert await desk.renew(batch, DAY) is None
        (claim,) = (await desk.claim()).claims
        assert claim.lapses == 1

    async def test_many_tokens_in_one_call(self, desk: Bench) -> None:
        await desk.put(*"abcd")
        batches = [await desk.claim(1, lease=(1 + number) * MINUTE) for number in range(4)]
        await desk.pass_time(2 * MINUTE)
        await desk.store.cancel(["d"])
        tokens = [batch.token or "" for batch in batches]
        answers = await desk.store.renew([*tokens, "unknown", tokens[2]], HOUR)
        gone = batches[3].claims[0].key
        assert [None if each is None else list(each) for each in answers] == [
            None, None, [], [gone], None, [],
        ]  # fmt: skip
        assert list(await desk.store.renew([], HOUR)) == []

    async def test_what_was_withdrawn_is_told_until_it_is_settled(self, desk: Bench) -> None:
        await desk.put(*"abcd")
        batch = await desk.claim()
        assert await desk.renew(batch) == []
        await desk.store.cancel(["a"])
        await desk.put("b", replace=True)
        for _ in range(2):
            assert await desk.renew(batch) == ["a", "b"]
        assert await desk.settle(batch, only=["a", "c"])
        assert await desk.renew(batch) == ["b"]
        await desk.store.cancel(["b"])  # the new one, which nobody holds
        await desk.store.cancel(["d"])
        assert await desk.renew(batch) == ["b", "d"]
        assert await desk.settle(batch)
        assert await desk.renew(batch) is None

    async def test_all_of_a_batch_withdrawn(self, desk: Bench) -> None:
        await desk.put("a", "b")
        batch = await desk.claim()
        await desk.store.cancel(["a", "b"])
        assert await desk.renew(batch) == ["a", "b"]
        assert await desk.settle(batch)
        assert await desk.renew(batch) is None

    async def test_what_was_moved_by_its_holder_is_not_withdrawn(self, desk: Bench) -> None:
        (message, _) = await desk.put("a", "b")
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(message)}, only=["a"])
        await desk.store.cancel(["a"])
        assert await desk.renew(batch) == []

    async def test_a_renewal_touches_no_other_lease(self, desk: Bench) -> None:
        await desk.put("a", "b")
        first, _ = await desk.claim(1), await desk.claim(1)
        await desk.pass_time(MINUTE)
        assert await desk.renew(first, HOUR) == []
        await desk.pass_time(LEASE - MINUTE)
        assert ids(await desk.claim()) == ["b"]
