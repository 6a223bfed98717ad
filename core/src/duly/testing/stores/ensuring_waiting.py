"""``ensure`` of a series of which nothing is due or in hand."""

from datetime import datetime

import pytest

from duly.errors import DuplicateMessage
from duly.message import State
from duly.recurrence import Cron, Every
from duly.store import (
    Bury,
    Ensured,
    SupportsEnsure,
)
from duly.testing.stores.bench import MICROSECOND, Bench, ids
from duly.testing.stores.ensuring import OTHER, ensure, following, standing, wanted
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE


class EnsureWaitingCases(StoreHarness):
    """Nothing of the series is due or in hand."""

    async def test_ensure_unknown(self, desk: Bench) -> None:
        await desk.pass_time(90 * MINUTE)
        message = wanted(desk, metadata={"k": "v"}, event_name="tick")
        assert await ensure(desk, message) is Ensured.STORED
        found = await desk.store.get("a")
        assert found is not None
        assert (found.event_name, found.payload, found.metadata) == ("tick", b"one", {"k": "v"})
        assert (found.state, found.scheduled_at) == (State.SCHEDULED, desk.start + 2 * HOUR)
        assert found.created_at == desk.start + 90 * MINUTE  # the store's time, not the object's
        assert found.recurrence == message.recurrence
        assert (found.retry_count, found.occurrence_count, found.last_error) == (0, 0, None)
        await desk.pass_time(30 * MINUTE - MICROSECOND)
        assert ids(await desk.claim()) == []
        await desk.pass_time(max(MICROSECOND, self.resolution))
        assert ids(await desk.claim()) == ["a"]

    async def test_ensure_counts_from_now_without_an_anchor(self, desk: Bench) -> None:
        await desk.pass_time(7 * MINUTE)
        assert await ensure(desk, wanted(desk, recurrence=Every(HOUR))) is Ensured.STORED
        assert await standing(desk) == (b"one", 67 * MINUTE, 0)

    async def test_ensure_is_strictly_after_now(self, desk: Bench) -> None:
        await desk.pass_time(HOUR)
        assert await ensure(desk, wanted(desk)) is Ensured.STORED
        assert await standing(desk) == (b"one", 2 * HOUR, 0)

    @pytest.mark.parametrize("again", [0, 1, 90], ids=str)
    async def test_ensure_same_writes_nothing(self, desk: Bench, again: int) -> None:
        await ensure(desk, wanted(desk))
        before = await desk.store.get("a")
        await desk.pass_time(again * MINUTE)
        assert await ensure(desk, wanted(desk)) is Ensured.SAME
        assert await desk.store.get("a") == before

    async def test_ensure_metadata_in_another_order(self, desk: Bench) -> None:
        await ensure(desk, wanted(desk, metadata={"a": "1", "b": "2"}))
        again = wanted(desk, metadata={"b": "2", "a": "1"})
        assert await ensure(desk, again) is Ensured.SAME

    async def test_ensure_payload_waiting(self, desk: Bench) -> None:
        await ensure(desk, wanted(desk))
        before = await desk.store.get("a")
        await desk.pass_time(MINUTE)
        changed = wanted(desk, b"two", metadata={"k": "v"}, event_name="tick")
        assert await ensure(desk, changed) is Ensured.CHANGED
        assert await standing(desk) == (b"two", HOUR, 0)
        after = await desk.store.get("a")
        assert before is not None
        assert after is not None
        assert (after.event_name, after.metadata) == ("tick", {"k": "v"})
        assert after.created_at == before.created_at
        assert await desk.listed(event_name="tick") == ["a"]
        assert await desk.listed(event_name="event") == []
        await desk.pass_time(HOUR)
        (claim,) = (await desk.claim()).claims
        assert claim.message.payload == b"two"

    async def test_ensure_rule_waiting(self, desk: Bench) -> None:
        await ensure(desk, wanted(desk))
        await desk.pass_time(5 * MINUTE)
        assert await ensure(desk, wanted(desk, recurrence=OTHER)) is Ensured.CHANGED
        assert await standing(desk) == (b"one", 25 * MINUTE, 0)
        await desk.pass_time(20 * MINUTE)
        assert ids(await desk.claim()) == ["a"]

    async def test_ensure_option_waiting_keeps_the_next_fire(self, desk: Bench) -> None:
        rule = Every(HOUR)
        await ensure(desk, wanted(desk, recurrence=rule))
        await desk.pass_time(5 * MINUTE)
        skipping = Every(HOUR, missed="skip", grace=MINUTE)
        assert await ensure(desk, wanted(desk, recurrence=skipping)) is Ensured.CHANGED
        assert await standing(desk) == (b"one", HOUR, 0)

    async def test_ensure_jitter_waiting_moves_the_attempt_alone(self, desk: Bench) -> None:
        await ensure(desk, wanted(desk))
        jitters = Every(HOUR, anchor=desk.start, jitter=30 * MINUTE)
        assert await ensure(desk, wanted(desk, recurrence=jitters)) is Ensured.CHANGED
        found = await desk.store.get("a")
        assert found is not None
        assert found.scheduled_at == desk.start + HOUR
        assert found.next_attempt_at == jitters.due("a", desk.start + HOUR)
        await desk.pass_time(HOUR)
        assert ids(await desk.claim()) == []

    async def test_ensure_flapping_rules_still_fire(self, desk: Bench) -> None:
        """Two versions of a service that ensure two intervals in turn push no fire away."""
        rules = [Every(HOUR), Every(50 * MINUTE)]
        fired = 0
        for turn in range(40):
            await ensure(desk, wanted(desk, recurrence=rules[turn % 2]))
            await desk.pass_time(10 * MINUTE)
            batch = await desk.claim()
            for claim in batch.claims:
                fired += 1
                rule = claim.message.recurrence
                assert isinstance(rule, Every)
                await desk.settle(batch, {"a": following(claim.message, rule.interval)})
        assert fired >= 6

    async def test_ensure_until_long_past_stores_nothing(self, desk: Bench) -> None:
        over = Every(HOUR, anchor=desk.start, until=desk.start - DAY)
        assert await ensure(desk, wanted(desk, recurrence=over)) is Ensured.ENDED
        assert await desk.listed() == []

    async def test_ensure_until_before_next_fire(self, desk: Bench) -> None:
        await ensure(desk, wanted(desk))
        ends = Every(HOUR, anchor=desk.start, until=desk.start + 30 * MINUTE)
        assert await ensure(desk, wanted(desk, recurrence=ends)) is Ensured.ENDED
        assert await desk.listed() == []
        assert await ensure(desk, wanted(desk)) is Ensured.STORED

    async def test_ensure_same_object_after_cancel_has_new_delivery_id(self, desk: Bench) -> None:
        message = wanted(desk)
        await ensure(desk, message)
        before = await desk.store.get("a")
        await desk.pass_time(MINUTE)
        await desk.store.cancel(["a"])
        assert await ensure(desk, message) is Ensured.STORED
        after = await desk.store.get("a")
        assert before is not None
        assert after is not None
        assert (after.scheduled_at, after.delivery_id != before.delivery_id) == (
            before.scheduled_at, True,
        )  # fmt: skip

    async def test_ensure_over_one_shot(self, desk: Bench) -> None:
        (message,) = await desk.put("a", after=HOUR)
        assert await ensure(desk, wanted(desk)) is DuplicateMessage
        assert await desk.store.get("a") == message

    async def test_ensure_over_dead(self, desk: Bench) -> None:
        await desk.put("a")
        await desk.settle(await desk.claim(), {"a": Bury("x")})
        assert await ensure(desk, wanted(desk)) is DuplicateMessage
        assert await desk.state("a") is State.DEAD

    async def test_ensure_several_each_on_its_own(self, desk: Bench) -> None:
        store = desk.store
        assert isinstance(store, SupportsEnsure)
        await desk.put("b", after=HOUR)
        names = ["a", "b", "c"]
        outcomes = await store.ensure([wanted(desk, id=id) for id in names])
        kinds = [type(each) if isinstance(each, Exception) else each for each in outcomes]
        assert kinds == [Ensured.STORED, DuplicateMessage, Ensured.STORED]
        assert await desk.listed() == names

    async def test_ensure_keeps_created_at_and_counts(self, desk: Bench) -> None:
        await ensure(desk, wanted(desk))
        await desk.pass_time(HOUR)
        batch = await desk.claim()
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        before = await desk.store.get("a")
        assert await ensure(desk, wanted(desk, recurrence=OTHER)) is Ensured.CHANGED
        after = await desk.store.get("a")
        assert before is not None
        assert after is not None
        assert (after.created_at, after.occurrence_count) == (before.created_at, 1)

    async def test_ensure_with_a_cron_expression(self, desk: Bench) -> None:
        daily, hourly = Cron("0 0 * * *"), Cron("0 * * * *")
        await ensure(desk, wanted(desk, recurrence=daily))
        first = await desk.store.get("a")
        assert first is not None
        assert first.scheduled_at == _next(daily, desk.start)
        assert await ensure(desk, wanted(desk, recurrence=hourly)) is Ensured.CHANGED
        second = await desk.store.get("a")
        assert second is not None
        assert second.scheduled_at == _next(hourly, desk.start)


def _next(rule: Cron, moment: datetime) -> datetime:
    found = rule.begins_after(moment)
    assert found is not None
    return found
