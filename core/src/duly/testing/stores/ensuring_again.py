"""``ensure`` while another series follows already, and beside the other verbs."""

import pytest

from duly.message import State
from duly.recurrence import Every
from duly.store import Ensured, SupportsWhere
from duly.testing.stores.bench import LEASE, Bench
from duly.testing.stores.ensuring import OTHER, begun, ensure, following, standing, wanted
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry


class EnsureAgainCases(StoreHarness):
    """More happens before the one that is in hand is settled."""

    async def test_ensure_renamed_in_flight_retried_under_its_old_name(self, desk: Bench) -> None:
        batch = await begun(desk, "in flight")
        assert batch is not None
        renamed = wanted(desk, b"two", event_name="tick")
        assert await ensure(desk, renamed) is Ensured.FOLLOWS
        await desk.settle(batch, {"a": retry(batch.claims[0].message, 0 * MINUTE)})
        batch = await desk.claim()
        message = batch.claims[0].message
        assert (message.event_name, message.payload) == ("event", b"one")
        await desk.settle(batch, {"a": following(message)})
        assert await standing(desk) == (b"two", 2 * HOUR, 1)
        assert await desk.listed(event_name="tick") == ["a"]
        assert await desk.listed(event_name="event") == []

    async def test_ensure_again_while_one_follows(self, desk: Bench) -> None:
        batch = await begun(desk, "in flight")
        assert batch is not None
        await ensure(desk, wanted(desk, recurrence=OTHER))
        await desk.pass_time(MINUTE)
        assert await ensure(desk, wanted(desk, recurrence=OTHER)) is Ensured.SAME
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await standing(desk) == (b"one", 80 * MINUTE, 1)

    async def test_ensure_back_to_the_old_while_new_follows(self, desk: Bench) -> None:
        batch = await begun(desk, "in flight")
        assert batch is not None
        await ensure(desk, wanted(desk, b"two", recurrence=OTHER))
        assert await ensure(desk, wanted(desk, b"one")) is Ensured.CHANGED
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await standing(desk) == (b"one", 2 * HOUR, 1)
        assert await ensure(desk, wanted(desk, b"one")) is Ensured.SAME

    async def test_ensure_second_change_when_the_first_is_due(self, desk: Bench) -> None:
        """The one fire of the first that has come goes to the second; the cut stays."""
        batch = await begun(desk, "in flight")
        assert batch is not None
        await ensure(desk, wanted(desk, b"two", recurrence=OTHER))
        await desk.pass_time(20 * MINUTE)
        third = wanted(desk, b"three", recurrence=Every(7 * HOUR))
        assert await ensure(desk, third) is Ensured.FOLLOWS
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await standing(desk) == (b"three", 80 * MINUTE, 1)
        (claim,) = (await desk.claim()).claims
        assert claim.message.recurrence == Every(7 * HOUR)

    async def test_ensure_where_tells_what_follows(self, desk: Bench) -> None:
        store = desk.store
        if not isinstance(store, SupportsWhere):
            pytest.skip("the store cannot tell where messages are")
        batch = await begun(desk, "in flight")
        assert batch is not None
        await ensure(desk, wanted(desk, b"two", recurrence=OTHER))
        where = await store.where("a")
        assert where is not None
        assert where.follows is not None
        fire = desk.start + 80 * MINUTE
        assert (where.follows.payload, where.follows.recurrence) == (b"two", OTHER)
        assert (where.follows.scheduled_at, where.follows.next_attempt_at) == (fire, fire)
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        where = await store.where("a")
        assert where is not None
        assert (where.follows, where.due_at) == (None, fire)

    async def test_ensure_until_ends_what_is_in_flight(self, desk: Bench) -> None:
        batch = await begun(desk, "in flight")
        assert batch is not None
        ends = Every(HOUR, anchor=desk.start, until=desk.start + HOUR)
        assert await ensure(desk, wanted(desk, recurrence=ends)) is Ensured.ENDED
        assert await desk.state("a") is State.CLAIMED
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await desk.listed() == []

    @pytest.mark.parametrize("verb", ["cancel", "replace", "reschedule"])
    async def test_ensure_and_another_verb_while_one_follows(self, desk: Bench, verb: str) -> None:
        await begun(desk, "due")
        await ensure(desk, wanted(desk, b"two", recurrence=OTHER))
        if verb == "cancel":
            await desk.store.cancel(["a"])
            assert await desk.listed() == []
            assert await ensure(desk, wanted(desk, recurrence=OTHER)) is Ensured.STORED
        elif verb == "replace":
            new = desk.message("a", 3 * HOUR, created_at=desk.start + HOUR, recurrence=Every(DAY))
            await desk.put(new, replace=True)
            assert (await standing(desk))[1:] == (3 * HOUR, 0)
        else:
            at = desk.start + 3 * HOUR
            await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
            assert await standing(desk) == (b"two", 3 * HOUR, 0)
            moved = await desk.store.get("a")
            assert moved is not None
            assert moved.recurrence == OTHER
        await desk.pass_time(3 * HOUR)
        batch = await desk.claim()
        message = batch.claims[0].message
        await desk.settle(batch, {"a": following(message)})
        assert (await standing(desk))[1] == message.scheduled_at + HOUR - desk.start

    async def test_ensure_and_a_move_to_where_it_is_while_one_follows(self, desk: Bench) -> None:
        await begun(desk, "due")
        await ensure(desk, wanted(desk, b"two", recurrence=OTHER))
        await desk.store.reschedule("a", None, of_state=State.SCHEDULED)
        assert await standing(desk) == (b"two", 80 * MINUTE, 0)
        assert await ensure(desk, wanted(desk, b"two", recurrence=OTHER)) is Ensured.SAME

    async def test_ensure_until_and_a_move_of_the_last_fire(self, desk: Bench) -> None:
        """It is not lost, and nothing comes after it."""
        await begun(desk, "due")
        ends = Every(HOUR, anchor=desk.start, until=desk.start + HOUR)
        assert await ensure(desk, wanted(desk, recurrence=ends)) is Ensured.ENDED
        at = desk.start + 3 * HOUR
        found = await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
        assert found is State.SCHEDULED
        assert await standing(desk) == (b"one", 3 * HOUR, 0)
        moved = await desk.store.get("a")
        assert moved is not None
        assert moved.recurrence == ends
        await desk.pass_time(2 * HOUR)
        assert [claim.message.id for claim in (await desk.claim()).claims] == ["a"]

    async def test_ensure_keeps_suspects(self, desk: Bench) -> None:
        await begun(desk, "due")
        for _ in range(2):
            await desk.claim()
            await desk.pass_time(LEASE)
        await ensure(desk, wanted(desk, b"two"))
        await ensure(desk, wanted(desk, b"two", recurrence=OTHER))
        batch = await desk.claim()
        assert (batch.claims[0].lapses, batch.claims[0].message.payload) == (2, b"two")
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        await desk.pass_time(DAY)
        assert [claim.lapses for claim in (await desk.claim()).claims] == [0]

    async def test_ensure_while_settling(self, desk: Bench) -> None:
        """Whatever comes first, the next fire is that of the new rule."""
        batch = await begun(desk, "in flight")
        assert batch is not None
        await desk.settle(batch, {"a": following(batch.claims[0].message)}, only=["a"])
        assert await ensure(desk, wanted(desk, recurrence=OTHER)) is Ensured.CHANGED
        assert await standing(desk) == (b"one", 80 * MINUTE, 1)
