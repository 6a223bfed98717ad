"""What settling does to a message, one outcome at a time and all together."""

from datetime import timedelta

import pytest

from duly.message import State, with_changes
from duly.recurrence import Every
from duly.store import Bury, Counters, Release, Reschedule, Settle, Settlement
from duly.testing.stores.bench import LEASE, MICROSECOND, Bench, ids, settle_of
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, SETTLEMENTS, make_suspect, retry


class OutcomeCases(StoreHarness):
    """Delivered, put back, released, buried."""

    async def test_what_was_delivered_is_gone(self, timed: Bench) -> None:
        await timed.put("a", "b")
        assert await timed.settle(await timed.claim())
        assert await timed.listed() == []
        assert await timed.store.get("a") is None
        assert await timed.counts() == (0, 0, 0)
        batch = await timed.claim()
        assert (ids(batch), batch.next_due) == ([], None)

    async def test_what_is_put_back_remembers_the_counters(self, desk: Bench) -> None:
        message = desk.message("a", payload=b"body", metadata={"tenant": "7"})
        message = with_changes(message, trace_context={"traceparent": "00-ab-cd-01"})
        await desk.put(message)
        scheduled_at = desk.start + timedelta(minutes=30, microseconds=7)
        at = desk.start + timedelta(hours=1, microseconds=1)
        counters = Counters(scheduled_at, 3, 8, "the reason: \u00e9\U0001f600")
        assert await desk.settle(await desk.claim(), {"a": Reschedule(at, counters)})
        assert await desk.store.get("a") == with_changes(
            message,
            scheduled_at=scheduled_at,
            next_attempt_at=at,
            retry_count=3,
            occurrence_count=8,
            last_error="the reason: \u00e9\U0001f600",
        )
        await desk.pass_time(HOUR)
        assert ids(await desk.claim()) == []
        await desk.pass_time(max(MICROSECOND, self.resolution))
        (claim,) = (await desk.claim()).claims
        assert (claim.message.retry_count, claim.lapses) == (3, 0)

    async def test_a_later_outcome_forgets_the_last_error(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, timedelta(0))})
        back = Reschedule(message.scheduled_at, Counters(message.scheduled_at))
        assert await desk.settle(await desk.claim(), {"a": back})
        assert await desk.store.get("a") == message

    async def test_retries_one_after_the_other(self, timed: Bench) -> None:
        await timed.put("a")
        for retries in range(5):
            batch = await timed.claim()
            (claim,) = batch.claims
            assert claim.message.retry_count == retries
            assert await timed.settle(batch, {"a": retry(claim.message, timedelta(0))})

    @pytest.mark.parametrize("after", [timedelta(0), -DAY, HOUR, DAY + MICROSECOND], ids=str)
    async def test_what_is_released_is_as_it_was(self, desk: Bench, after: timedelta) -> None:
        message = desk.message("a", recurrence=Every(DAY))
        await desk.put(message)
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": Release(desk.start + after)})
        assert await desk.store.get("a") == message
        if after > timedelta(0):
            batch = await desk.claim()
            assert (ids(batch), batch.more) == ([], False)
            await desk.pass_time(after - MICROSECOND)
            assert ids(await desk.claim()) == []
            await desk.pass_time(max(MICROSECOND, self.resolution))
        (claim,) = (await desk.claim()).claims
        assert with_changes(claim.message, state=State.SCHEDULED) == message
        assert claim.lapses == 0

    async def test_a_release_keeps_retries_and_lapses(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, timedelta(0))})
        await desk.claim()
        await desk.pass_time(LEASE)
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": Release(desk.start)})
        (claim,) = (await desk.claim()).claims
        assert (claim.message.retry_count, claim.message.last_error) == (1, "broken")
        assert claim.lapses == 1

    async def test_a_retry_forgets_lapses(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        await make_suspect(desk, "a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, timedelta(0))})
        (claim,) = (await desk.claim()).claims
        assert (claim.message.retry_count, claim.lapses) == (1, 0)

    async def test_what_is_buried_is_a_dead_letter(self, timed: Bench) -> None:
        (message,) = await timed.put("a")
        assert await timed.settle(await timed.claim(), {"a": Bury("no such house")})
        buried = with_changes(message, state=State.DEAD, last_error="no such house")
        assert await timed.store.get("a") == buried
        batch = await timed.claim()
        assert (ids(batch), batch.more, batch.next_due) == ([], False, None)
        assert await timed.counts() == (0, 0, 1)

    async def test_what_is_buried_keeps_its_counts(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, MINUTE)})
        await desk.pass_time(MINUTE)
        before = (await desk.claim(lease=LEASE)).claims[0].message
        await desk.pass_time(LEASE)
        assert await desk.settle(await desk.claim(), {"a": Bury("x" * 1024)})
        after = await desk.store.get("a")
        assert after == with_changes(before, state=State.DEAD, last_error="x" * 1024)

    async def test_all_outcomes_in_one_settle(self, desk: Bench) -> None:
        number = self.many(60)
        messages = await desk.put(*(f"m{each:04}" for each in range(number)))
        outcomes: dict[str, Settlement] = {}
        for each, message in enumerate(messages):
            match each % 4:
                case 1:
                    outcomes[message.id] = retry(message)
                case 2:
                    outcomes[message.id] = Release(desk.start + 2 * HOUR)
                case 3:
                    outcomes[message.id] = Bury(f"reason {each}")
        batch = await desk.claim(number)
        assert await desk.settle(batch, outcomes)
        assert await desk.listed() == [message.id for message in messages if message.id in outcomes]
        dead = [f"m{each:04}" for each in range(3, number, 4)]
        assert await desk.listed(state=State.DEAD) == dead
        await desk.pass_time(HOUR)
        assert ids(await desk.claim(number)) == [f"m{each:04}" for each in range(1, number, 4)]
        await desk.store.cancel([f"m{each:04}" for each in range(1, number, 4)])
        await desk.pass_time(HOUR)
        assert ids(await desk.claim(number)) == [f"m{each:04}" for each in range(2, number, 4)]

    async def test_an_id_that_was_settled_is_free(self, desk: Bench) -> None:
        for name in ("a", "b"):
            await desk.put(name)
            assert await desk.settle(await desk.claim())
            await desk.put(name, after=HOUR)
        assert await desk.listed() == ["a", "b"]


class SettleCases(StoreHarness):
    """Which claims a settle reaches, and its own outcome."""

    async def test_settled_twice(self, timed: Bench) -> None:
        (message,) = await timed.put("a")
        batch = await timed.claim()
        assert await timed.settle(batch, {"a": retry(message)})
        before = await timed.store.get("a")
        for _ in range(2):
            assert not await timed.settle(batch)
        assert await timed.store.get("a") == before

    async def test_an_unknown_token(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        key = batch.claims[0].key
        foreign = [
            Settle("unknown"),
            Settle(""),
            Settle((batch.token or "") + "0", {key: Bury("broken")}, [key]),
        ]
        assert list(await desk.store.settle(foreign)) == [False, False, False]
        assert await desk.state("a") is State.CLAIMED
        assert await desk.settle(batch)

    async def test_many_settles_in_one_call(self, desk: Bench) -> None:
        await desk.put(*"abcd")
        batches = [await desk.claim(1) for _ in range(4)]
        settles = [
            settle_of(batches[0]),
            Settle("unknown"),
            settle_of(batches[1], {"b": Bury("broken")}),
            settle_of(batches[0]),
            settle_of(batches[2], only=[]),
            settle_of(batches[2], {"c": Release(desk.start + DAY)}),
        ]
        assert list(await desk.store.settle(settles)) == [True, False, True, False, True, True]
        assert await desk.counts() == (1, 1, 1)
        assert await desk.listed(state=State.CLAIMED) == ["d"]
        assert list(await desk.store.settle([])) == []

    async def test_a_settle_reaches_its_own_batch_only(self, desk: Bench) -> None:
        await desk.put("a", "b")
        first, second = await desk.claim(1), await desk.claim(1)
        assert first.token is not None
        foreign = {second.claims[0].key: Bury("broken")}
        assert list(await desk.store.settle([Settle(first.token, foreign)])) == [True]
        assert await desk.state("a") is None
        assert await desk.state("b") is State.CLAIMED
        assert await desk.settle(second)

    @pytest.mark.parametrize("how", SETTLEMENTS)
    async def test_a_settle_leaves_the_neighbours_alone(self, desk: Bench, how: str) -> None:
        messages = [desk.message(id, recurrence=Every(HOUR)) for id in "ab"]
        await desk.put(*messages)
        first, second = await desk.claim(1), await desk.claim(1)
        before = await desk.store.get("b")
        settlement = SETTLEMENTS[how](messages[0])
        assert await desk.settle(first, {} if settlement is None else {"a": settlement})
        assert await desk.store.get("b") == before
        assert await desk.renew(second) == []

    async def test_by_another_store_object(self, timed: Bench) -> None:
        await timed.put("a")
        batch = await timed.claim()
        other = await timed.another()
        assert batch.token is not None
        (withdrawn,) = await other.renew([batch.token], LEASE)
        assert withdrawn is not None
        assert list(withdrawn) == []
        assert await timed.settle(batch, by=other)
        assert await timed.counts() == (0, 0, 0)
