"""``Group(as_is=True)``: messages that move from one store to another, or come back from a copy."""

import pytest

from duly.errors import DuplicateMessage
from duly.message import Filter, Message, State, restore, with_changes
from duly.recurrence import Every
from duly.store import Bury, Counters, Group, Reschedule
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.recurring import series
from duly.testing.stores.situations import DAY, HOUR, MINUTE, next_fire, retry


class AsIsCases(StoreHarness):
    """Stored is what was read, with all that duly manages."""

    async def test_a_retried_message_keeps_its_place_and_counters(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(batch.claims[0].message, MINUTE)})
        moved = await self._taken(desk, "a")
        await desk.put_as_is(moved)
        assert await desk.store.get("a") == moved
        assert (moved.retry_count, moved.last_error) == (1, "broken")
        assert ids(await desk.claim()) == []
        await desk.pass_time(MINUTE)
        (claim,) = (await desk.claim()).claims
        assert with_changes(claim.message, state=State.SCHEDULED) == moved

    async def test_a_postponed_series_keeps_all_of_it(self, desk: Bench) -> None:
        message = series(desk, recurrence=Every(DAY, jitter=HOUR))
        await desk.put(message)
        await desk.pass_time(HOUR)
        counters = Counters(message.scheduled_at, 1, 2, "broken", postpone_count=4, put_back=True)
        back = Reschedule(desk.start + 2 * HOUR, counters)
        assert await desk.settle(await desk.claim(), {"a": back})
        moved = await self._taken(desk, "a")
        assert (moved.occurrence_count, moved.postpone_count) == (2, 4)
        await desk.put_as_is(moved)
        assert await desk.store.get("a") == moved

    async def test_a_dead_letter_stays_dead(self, desk: Bench) -> None:
        await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": Bury("x", error_class="Rejected")})
        moved = await self._taken(desk, "a")
        await desk.pass_time(DAY)
        await desk.put_as_is(moved)
        found = await desk.store.get("a")
        assert found == moved
        assert found is not None
        assert found.died_at == moved.died_at is not None
        assert (found.last_error, found.error_class) == ("x", "Rejected")
        assert await desk.counts() == (0, 0, 1)
        batch = await desk.claim()
        assert (ids(batch), batch.more, batch.next_due) == ([], False, None)
        assert await desk.store.reschedule("a", None, of_state=State.DEAD) is State.DEAD
        assert ids(await desk.claim()) == ["a"]

    async def test_a_buried_occurrence_keeps_its_delivery_id(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        assert await desk.settle(await desk.claim(), {"a": Bury("x", next_fire(message))})
        moved = await self._taken(desk, message.delivery_id)
        await desk.put_as_is(moved)
        found = await desk.store.get(moved.id)
        assert found == moved
        assert moved.delivery_id == message.delivery_id

    async def test_a_claimed_one_is_scheduled(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        await desk.claim()
        held = await desk.store.get("a")
        assert held is not None
        await desk.store.cancel(["a"])
        await desk.put_as_is(_copy(held))
        assert await desk.store.get("a") == message
        assert ids(await desk.claim()) == ["a"]

    async def test_one_that_was_renamed_keeps_its_names(self, desk: Bench) -> None:
        await desk.put(series(desk))
        await desk.store.reschedule("a", desk.start + HOUR, of_state=State.SCHEDULED)
        moved = await self._taken(desk, "a")
        await desk.put_as_is(moved)
        found = await desk.store.get("a")
        assert found == moved
        assert found is not None
        assert (found.created_at, found.delivery_id) == (moved.created_at, moved.delivery_id)

    async def test_many_of_all_states_in_one_group(self, desk: Bench) -> None:
        await desk.put("dead")
        assert await desk.settle(await desk.claim(), {"dead": Bury("x")})
        await desk.put("due", "held")
        await desk.put("later", after=HOUR)
        before = list(await desk.store.list(Filter()))
        await desk.store.cancel([each.id for each in before])
        await desk.put_as_is(*map(_copy, before))
        assert list(await desk.store.list(Filter())) == before
        assert await desk.counts() == (3, 0, 1)

    @pytest.mark.parametrize("dead", [False, True], ids=["waiting", "dead"])
    async def test_an_id_that_is_taken(self, desk: Bench, dead: bool) -> None:
        (stored,) = await desk.put("a", after=HOUR)
        other = desk.message("a", 2 * HOUR)
        if dead:
            other = with_changes(other, state=State.DEAD, last_error="x", died_at=desk.start)
        neighbour = desk.message("b", HOUR)
        group = Group([other, neighbour], as_is=True)
        assert await desk.outcomes(group) == [DuplicateMessage]
        assert list(await desk.store.list(Filter())) == [stored]
        await desk.put_as_is(other, neighbour, replace=True)
        assert await desk.store.get("a") == other
        assert await desk.counts() == ((1, 0, 1) if dead else (2, 0, 0))

    async def test_to_store_it_again_is_a_repeat(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(batch.claims[0].message, MINUTE)})
        moved = await self._taken(desk, "a")
        await desk.put_as_is(moved)
        await desk.store.reschedule("a", desk.start + DAY, of_state=State.SCHEDULED)
        await desk.put_as_is(moved)
        found = await desk.store.get("a")
        assert found is not None
        assert found.scheduled_at == desk.start + DAY

    async def test_it_may_replace_itself_in_somebodys_hands(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim()
        other = with_changes(desk.message("a", HOUR), retry_count=3, last_error="broken")
        await desk.put_as_is(other, replace=True)
        assert await desk.renew(batch) == ["a"]
        assert await desk.settle(batch)
        assert await desk.store.get("a") == other

    async def test_lapses_begin_anew(self, desk: Bench) -> None:
        await desk.put("a")
        await desk.claim(lease=MINUTE)
        await desk.pass_time(MINUTE)
        moved = await self._taken(desk, "a")
        await desk.put_as_is(moved)
        (claim,) = (await desk.claim()).claims
        assert claim.lapses == 0

    async def test_what_is_stored_as_ever_is_as_new(self, desk: Bench) -> None:
        other = with_changes(
            desk.message("a"), retry_count=3, occurrence_count=2, last_error="x",
            postpone_count=1, error_class="X", died_at=desk.start, state=State.DEAD,
        )  # fmt: skip
        await desk.put(other)
        found = await desk.store.get("a")
        assert found == with_changes(
            other, retry_count=0, occurrence_count=0, last_error=None, postpone_count=0,
            error_class=None, state=State.SCHEDULED,
        )  # fmt: skip
        assert found is not None
        assert found.died_at is None
        assert await desk.counts() == (1, 0, 0)

    async def _taken(self, desk: Bench, id: str) -> Message:
        """A message as it is listed, removed from the store; time may have rounded it."""
        (message,) = [each for each in await desk.store.list(Filter()) if each.id == id]
        await desk.store.cancel([id])
        return _copy(message)


def _copy(message: Message) -> Message:
    return restore(dict(message.__dict__))
