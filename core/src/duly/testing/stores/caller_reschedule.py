"""Moving what waits and replaying what is dead."""

from datetime import timedelta

import pytest

from duly.message import State, with_changes
from duly.recurrence import Every
from duly.store import Bury, Group, Release
from duly.testing.stores.bench import MICROSECOND, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import (
    DAY,
    HOUR,
    MINUTE,
    Situation,
    arrange,
    make_suspect,
    next_fire,
    retry,
)


class RescheduleCases(StoreHarness):
    """``reschedule``."""

    @pytest.mark.parametrize("situation", [Situation.SCHEDULED, Situation.DEAD], ids=str)
    async def test_only_the_time_and_the_failures_change(
        self, desk: Bench, situation: Situation
    ) -> None:
        message = desk.message("a", payload=b"body", metadata={"tenant": "7"})
        await arrange(desk, situation, message)
        at = desk.start + timedelta(days=3, microseconds=1)
        assert situation.state is not None
        await desk.store.reschedule("a", at, of_state=situation.state)
        found = await desk.store.get("a")
        assert found == with_changes(message, scheduled_at=at, next_attempt_at=at)
        assert found.delivery_id == message.delivery_id

    async def test_retries_are_forgotten(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message)})
        at = desk.start + MINUTE
        await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
        found = await desk.store.get("a")
        assert found == with_changes(message, scheduled_at=at, next_attempt_at=at)
        await desk.pass_time(MINUTE)
        assert ids(await desk.claim()) == ["a"]

    @pytest.mark.parametrize("minutes", [0, 59, 61], ids=str)
    async def test_moved_exactly_to_its_moment(self, desk: Bench, minutes: int) -> None:
        await desk.put("a", after=HOUR)
        at = desk.start + minutes * MINUTE
        await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
        assert (await desk.store.stats()).oldest_due == (at if minutes == 0 else None)
        if minutes:
            await desk.pass_time(minutes * MINUTE - self.resolution)
            assert ids(await desk.claim()) == []
            await desk.pass_time(self.resolution)
        assert ids(await desk.claim()) == ["a"]
        await desk.pass_time(MINUTE)
        assert ids(await desk.claim()) == []

    async def test_moved_again_and_again(self, desk: Bench) -> None:
        await desk.put("a", "b", after=HOUR)
        for minutes in (5, 90, 1, 30, 2):
            at = desk.start + minutes * MINUTE
            await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
        assert await desk.listed() == ["a", "b"]
        await desk.pass_time(2 * MINUTE - MICROSECOND)
        assert ids(await desk.claim()) == []
        await desk.pass_time(MICROSECOND)
        assert ids(await desk.claim()) == ["a"]
        await desk.pass_time(58 * MINUTE)
        assert sorted(ids(await desk.claim())) == ["a", "b"]  # the lease of a has lapsed

    async def test_the_list_follows(self, desk: Bench) -> None:
        await desk.put("a", "b", after=HOUR)
        await desk.store.reschedule("a", desk.start + DAY, of_state=State.SCHEDULED)
        assert await desk.listed() == ["b", "a"]
        assert await desk.listed(before=desk.start + HOUR) == ["b"]
        assert await desk.listed(event_name="event", after=desk.start + DAY) == ["a"]

    async def test_no_time_keeps_the_time(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message)})
        await desk.store.reschedule("a", None, of_state=State.SCHEDULED)
        assert await desk.store.get("a") == message
        assert ids(await desk.claim()) == ["a"]

    async def test_lapses_are_forgotten(self, desk: Bench) -> None:
        await desk.put("a", "b", after=HOUR)
        await desk.pass_time(HOUR)
        await make_suspect(desk, "a", "b")
        assert len((await desk.claim()).claims) == 1
        await desk.pass_time(HOUR)
        # A claim of nothing but the lapsed, so that both are scheduled again.
        assert ids(await desk.claim(suspects=False)) == []
        for id in ("a", "b"):
            assert await desk.store.reschedule(id, None, of_state=State.SCHEDULED)
        batch = await desk.claim()
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 0), ("b", 0)]

    async def test_a_series_keeps_its_count(self, desk: Bench) -> None:
        message = desk.message("a", recurrence=Every(HOUR))
        await desk.put(message)
        assert await desk.settle(await desk.claim(), {"a": next_fire(message)})
        at = desk.start + DAY
        await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
        found = await desk.store.get("a")
        assert found is not None
        assert (found.occurrence_count, found.scheduled_at) == (1, at)
        assert found.recurrence == message.recurrence

    async def test_a_dead_letter_is_replayed_where_it_was(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, MINUTE)})
        await desk.pass_time(MINUTE)
        assert await desk.settle(await desk.claim(), {"a": Bury("broken")})
        assert await desk.store.reschedule("a", None, of_state=State.DEAD) is State.DEAD
        assert await desk.store.get("a") == message
        (claim,) = (await desk.claim()).claims
        assert (claim.lapses, claim.message.delivery_id) == (0, message.delivery_id)

    async def test_a_suspect_that_was_buried_is_replayed_as_an_innocent(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a")
        batch = await desk.claim()
        assert batch.claims[0].lapses == 2
        assert await desk.settle(batch, {"a": Bury("broken")})
        await desk.store.reschedule("a", None, of_state=State.DEAD)
        await desk.put("b")
        batch = await desk.claim()
        assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [("a", 0), ("b", 0)]

    async def test_replayed_only_once(self, desk: Bench) -> None:
        await arrange(desk, Situation.DEAD)
        assert await desk.store.reschedule("a", None, of_state=State.DEAD) is State.DEAD
        assert await desk.store.reschedule("a", None, of_state=State.DEAD) is State.SCHEDULED
        assert ids(await desk.claim()) == ["a"]
        assert await desk.outcomes(Group([desk.message("a")])) != [None]

    async def test_each_scheduling_has_a_key_of_its_own(self, desk: Bench) -> None:
        """What a late holder says of an old one must not hit the new one."""
        keys = []
        (message,) = await desk.put("a")
        for how in ("moved", "replayed", "replaced", "put"):
            batch = await desk.claim()
            keys.append(batch.claims[0].key)
            if how == "moved":
                assert await desk.settle(batch, {"a": Release(message.scheduled_at)})
                await desk.store.reschedule("a", desk.start, of_state=State.SCHEDULED)
            elif how == "replayed":
                assert await desk.settle(batch, {"a": Bury("broken")})
                await desk.store.reschedule("a", None, of_state=State.DEAD)
            elif how == "replaced":
                await desk.put("a", replace=True)
            else:
                await desk.store.cancel(["a"])
                await desk.put("a")
        keys.append((await desk.claim()).claims[0].key)
        assert len(set(keys)) == len(keys)
