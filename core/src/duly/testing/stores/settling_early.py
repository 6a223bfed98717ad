"""Settling part of a batch early, and settling in the same call as the next claim."""

from datetime import timedelta

import pytest

from duly.message import Filter, State
from duly.recurrence import Every
from duly.store import Bury, Release, Settle
from duly.testing.stores.bench import LEASE, Bench, Outcomes, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SECOND, SETTLEMENTS, next_fire, retry


class EarlyCases(StoreHarness):
    """``Settle`` with ``only``."""

    async def test_only_those_are_settled(self, timed: Bench) -> None:
        await timed.put(*"abcd")
        batch = await timed.claim()
        assert await timed.settle(batch, only=["b", "d"])
        assert await timed.listed() == ["a", "c"]
        assert await timed.counts() == (0, 2, 0)
        assert ids(await timed.claim()) == []
        assert await timed.settle(batch)
        assert await timed.counts() == (0, 0, 0)

    @pytest.mark.parametrize("how", SETTLEMENTS)
    async def test_a_lapse_brings_nothing_of_it_back(self, desk: Bench, how: str) -> None:
        message = desk.message("a", recurrence=Every(DAY))
        await desk.put(message, "b", "c")
        batch = await desk.claim()
        settlement = SETTLEMENTS[how](message)
        if isinstance(settlement, Release):
            settlement = Release(desk.start + DAY)
        exceptions: Outcomes = {} if settlement is None else {"a": settlement}
        assert await desk.settle(batch, exceptions, only=["a"])
        before = await desk.store.list(Filter())
        await desk.pass_time(LEASE)
        brought = await desk.claim()
        assert [(claim.message.id, claim.lapses) for claim in brought.claims] == [
            ("b", 1), ("c", 1),
        ]  # fmt: skip
        assert list(await desk.store.list(Filter())) == list(before)  # b and c are CLAIMED again
        await desk.store.cancel(["b", "c"])
        await desk.pass_time(DAY)
        assert all(claim.lapses == 0 for claim in (await desk.claim()).claims)

    @pytest.mark.parametrize("how", SETTLEMENTS)
    async def test_the_rest_is_settled_without_them(self, desk: Bench, how: str) -> None:
        message = desk.message("a", recurrence=Every(DAY))
        await desk.put(message, "b")
        batch = await desk.claim()
        settlement = SETTLEMENTS[how](message)
        exceptions: Outcomes = {} if settlement is None else {"a": settlement}
        assert await desk.settle(batch, exceptions, only=["a"])
        before = [each for each in await desk.store.list(Filter()) if each.id != "b"]
        assert await desk.settle(batch)
        assert list(await desk.store.list(Filter())) == before
        assert not await desk.settle(batch)

    async def test_some_delivered_some_not(self, desk: Bench) -> None:
        messages = await desk.put(*"abcdef")
        batch = await desk.claim()
        exceptions: Outcomes = {
            "a": retry(messages[0]),
            "c": Bury("broken"),
            "e": Release(desk.start),
        }
        assert await desk.settle(batch, exceptions, only=[*"abce"])
        assert await desk.counts() == (2, 2, 1)
        assert ids(await desk.claim()) == ["e"]
        assert await desk.settle(batch, {"f": Bury("broken")})
        assert await desk.listed(state=State.DEAD) == ["c", "f"]
        assert await desk.listed() == ["a", "c", "e", "f"]

    async def test_settling_nothing_early(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        assert await desk.settle(batch, only=[])
        assert await desk.counts() == (0, 1, 0)
        assert await desk.settle(batch)

    async def test_one_by_one_until_none_is_left(self, desk: Bench) -> None:
        await desk.put(*"abc")
        batch = await desk.claim()
        for id in "cab":
            assert await desk.settle(batch, only=[id])
            assert await desk.state(id) is None
        assert await desk.counts() == (0, 0, 0)
        # The lease lives on although nothing is left in it.
        assert await desk.renew(batch) == []
        assert await desk.settle(batch)
        assert not await desk.settle(batch)

    async def test_settling_the_same_twice_early(self, desk: Bench) -> None:
        (message, _) = await desk.put("a", "b")
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(message)}, only=["a"])
        before = await desk.store.get("a")
        for exceptions in ({}, {"a": Bury("broken")}):
            assert await desk.settle(batch, exceptions, only=["a"])
            assert await desk.store.get("a") == before
        assert await desk.settle(batch, {"a": Bury("broken")})
        assert await desk.store.get("a") == before
        assert await desk.state("b") is None

    async def test_released_early_and_claimed_again(self, desk: Bench) -> None:
        await desk.put("a", "b")
        first = await desk.claim()
        assert await desk.settle(first, {"a": Release(desk.start)}, only=["a"])
        second = await desk.claim()
        assert ids(second) == ["a"]
        # Whatever the first holder says of it now has no effect.
        assert await desk.settle(first, {"a": Bury("broken")}, only=["a"])
        assert await desk.settle(first)
        assert await desk.state("a") is State.CLAIMED
        assert await desk.renew(second) == []
        assert await desk.settle(second, {"a": Bury("broken")})
        assert await desk.state("a") is State.DEAD

    async def test_early_settling_keeps_the_end_of_the_lease(self, timed: Bench) -> None:
        await timed.put("a", "b")
        lease = 4 * timed.time.moment
        batch = await timed.claim(lease=lease)
        settled = await timed.settle(batch, only=["a"])
        while not (again := await timed.claim()).claims:
            assert again.now < batch.now + lease
            await timed.pass_time(timed.time.moment / 5)
        assert again.now >= batch.now + lease
        assert ids(again) == (["b"] if settled else ["a", "b"])
        assert again.claims[0].lapses == 1


class SettleAndClaimCases(StoreHarness):
    """``claim`` with ``settle``."""

    async def test_first_the_settles_then_the_claim(self, timed: Bench) -> None:
        await timed.put("a", "b")
        first = await timed.claim(1)
        second = await timed.claim(1, settle=[settle_of(first)])
        assert (list(second.settled), ids(second)) == ([True], ["b"])
        third = await timed.claim(settle=[settle_of(second)])
        assert (list(third.settled), ids(third), third.token) == ([True], [], None)
        assert await timed.counts() == (0, 0, 0)

    async def test_what_is_released_may_come_with_the_same_call(self, desk: Bench) -> None:
        (message, *_) = await desk.put("a", "b", "c")
        first = await desk.claim(2)
        outcomes: Outcomes = {"a": retry(message, -SECOND), "b": Release(desk.start)}
        second = await desk.claim(settle=[settle_of(first, outcomes)])
        assert (list(second.settled), ids(second)) == ([True], ["a", "b", "c"])
        assert second.claims[0].message.retry_count == 1
        assert not await desk.settle(first)
        assert await desk.settle(second)

    async def test_what_is_put_back_for_later_does_not_come(self, desk: Bench) -> None:
        (message, _) = await desk.put("a", "b")
        first = await desk.claim()
        outcomes: Outcomes = {"a": retry(message, HOUR), "b": Release(desk.start + MINUTE)}
        second = await desk.claim(settle=[settle_of(first, outcomes)])
        assert (ids(second), second.more) == ([], False)
        assert second.next_due == desk.start + MINUTE

    async def test_the_next_fire_may_come_with_the_same_call(self, desk: Bench) -> None:
        message = desk.message("a", -DAY, recurrence=Every(HOUR))
        await desk.put(message)
        batch = await desk.claim()
        for occurrence in range(1, 4):
            (claim,) = batch.claims
            settle = settle_of(batch, {"a": next_fire(claim.message)})
            batch = await desk.claim(settle=[settle])
            (claim,) = batch.claims
            assert claim.message.occurrence_count == occurrence
            assert claim.message.scheduled_at == message.scheduled_at + occurrence * HOUR

    async def test_settles_are_done_in_order(self, desk: Bench) -> None:
        await desk.put(*"abc")
        first, second = await desk.claim(2), await desk.claim(1)
        batch = await desk.claim(
            settle=[
                settle_of(first, only=["a"]),
                Settle("unknown"),
                settle_of(first, {"b": Bury("broken")}),
                settle_of(first),
                settle_of(second),
            ]
        )
        assert list(batch.settled) == [True, False, True, False, True]
        assert await desk.listed() == ["b"]
        assert await desk.state("b") is State.DEAD

    async def test_a_lapsed_batch_is_not_settled_but_claimed(self, timed: Bench) -> None:
        await timed.put("a", "b")
        lease = 4 * timed.time.moment
        first = await timed.claim(lease=lease)
        await timed.pass_time(lease)
        second = await timed.claim(settle=[settle_of(first, {"a": Bury("broken")})])
        assert list(second.settled) == [False]
        assert [(claim.message.id, claim.lapses) for claim in second.claims] == [("a", 1), ("b", 1)]

    async def test_a_lease_that_ends_is_not_awaited(self, desk: Bench) -> None:
        await desk.put("a", "b")
        first = await desk.claim(1)
        second = await desk.claim(1, lease=HOUR)
        assert second.next_due == desk.start + LEASE
        third = await desk.claim(settle=[settle_of(first)])
        assert third.next_due == desk.start + HOUR
        assert (await desk.claim(settle=[settle_of(second)])).next_due is None

    async def test_a_suspect_is_settled_before_the_rest_is_claimed(self, desk: Bench) -> None:
        await desk.put("a")
        for _ in range(2):
            await desk.claim()
            await desk.pass_time(LEASE)
        suspect = await desk.claim()
        await desk.put("b", after=timedelta(seconds=1))
        settle = settle_of(suspect, {"a": Release(desk.start)})
        batch = await desk.claim(suspects=False, settle=[settle])
        assert (ids(batch), batch.more) == (["b"], False)
        assert ids(await desk.claim()) == ["a"]

    async def test_a_long_chain(self, timed: Bench) -> None:
        number = self.many(1000)
        names = [f"m{each:05}" for each in range(number)]
        await timed.put(*names)
        found: list[str] = []
        settle: list[Settle] = []
        while (batch := await timed.claim(64, settle=settle)).claims:
            assert all(batch.settled)
            found += ids(batch)
            settle = [settle_of(batch)]
        assert list(batch.settled) == [True]
        assert found == names
        assert await timed.counts() == (0, 0, 0)
