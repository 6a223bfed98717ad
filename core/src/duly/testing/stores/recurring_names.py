"""What deliveries are called: one delivery id, one fire."""

from duly.message import Message, State, with_changes
from duly.moment import to_microseconds
from duly.recurrence import Every
from duly.store import Bury, Counters, Release, Reschedule
from duly.testing.stores.bench import LEASE, MICROSECOND, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.recurring import series
from duly.testing.stores.situations import DAY, HOUR, MINUTE, next_fire, retry


class NameCases(StoreHarness):
    """The delivery ids of series, and of messages that do not recur."""

    async def _claimed(self, desk: Bench) -> Message:
        (claim,) = (await desk.claim()).claims
        return claim.message

    async def test_a_fire_is_named_by_its_moment_and_not_by_its_count(self, desk: Bench) -> None:
        message = series(desk)
        created = to_microseconds(message.created_at)
        await desk.put(message)
        for number in range(3):
            fire = message.scheduled_at + number * HOUR
            batch = await desk.claim()
            (claim,) = batch.claims
            assert claim.message.delivery_id == f"a:{created}:{to_microseconds(fire)}"
            further = Reschedule(fire + HOUR, Counters(fire + HOUR))  # as if this one was skipped
            assert await desk.settle(batch, {"a": further})
            await desk.pass_time(HOUR)

    async def test_a_fire_keeps_its_name_until_it_is_over(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(message, MINUTE)})
        await desk.pass_time(MINUTE)
        batch = await desk.claim()
        assert batch.claims[0].message.delivery_id == message.delivery_id
        assert await desk.settle(batch, {"a": Release(desk.start)})
        assert (await self._claimed(desk)).delivery_id == message.delivery_id
        await desk.pass_time(LEASE)
        assert (await self._claimed(desk)).delivery_id == message.delivery_id

    async def test_a_series_moved_to_a_moment_that_has_fired(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        seen = set()
        for number in range(4):
            batch = await desk.claim()
            (claim,) = batch.claims
            assert claim.message.scheduled_at == message.scheduled_at
            assert claim.message.occurrence_count == number
            seen.add(claim.message.delivery_id)
            assert await desk.settle(batch, {"a": next_fire(claim.message)})
            await desk.store.reschedule("a", message.scheduled_at, of_state=State.SCHEDULED)
        assert len(seen) == 4

    async def test_a_series_that_is_moved_is_created_a_little_later(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        for number in range(1, 4):
            at = message.scheduled_at + number * DAY
            await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
            assert await desk.store.get("a") == with_changes(
                message, scheduled_at=at, next_attempt_at=at,
                created_at=message.created_at + number * MICROSECOND,
                _given_at=message.created_at,
            )  # fmt: skip

    async def test_moved_to_where_it_is_a_series_keeps_its_names(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        assert await desk.settle(await desk.claim(), {"a": retry(message)})
        for at in (None, message.scheduled_at):
            await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
            assert await desk.store.get("a") == message
        assert (await self._claimed(desk)).delivery_id == message.delivery_id

    async def test_what_replaces_a_series_that_was_moved(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        await desk.store.reschedule("a", desk.start + DAY, of_state=State.SCHEDULED)
        moved = await desk.store.get("a")
        assert moved is not None
        new = desk.message("a", recurrence=Every(HOUR), created_at=moved.created_at)
        await desk.put(new, replace=True)
        found = await desk.store.get("a")
        assert found is not None
        assert found.created_at == moved.created_at + MICROSECOND

    async def test_what_does_not_recur_keeps_its_name_for_good(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        for moment in (desk.start + HOUR, desk.start - HOUR):
            await desk.store.reschedule("a", moment, of_state=State.SCHEDULED)
        batch = await desk.claim()
        assert batch.claims[0].message.delivery_id == message.delivery_id
        assert await desk.settle(batch, {"a": retry(batch.claims[0].message)})
        batch = await desk.claim()
        assert batch.claims[0].message.delivery_id == message.delivery_id
        assert await desk.settle(batch, {"a": Bury("broken")})
        await desk.store.reschedule("a", desk.start - DAY, of_state=State.DEAD)
        assert (await self._claimed(desk)).delivery_id == message.delivery_id

    async def test_buried_before_and_after_a_move(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        for _ in range(2):
            batch = await desk.claim()
            assert await desk.settle(batch, {"a": Bury("broken", next_fire(message))})
            await desk.store.reschedule("a", message.scheduled_at, of_state=State.SCHEDULED)
        dead = await desk.listed(state=State.DEAD)
        assert len(dead) == 2
        assert not any(id.endswith("+") for id in dead)

    async def test_buried_after_a_move_it_is_replayed_under_its_name(self, desk: Bench) -> None:
        await desk.put(series(desk))
        await desk.store.reschedule("a", desk.start - DAY, of_state=State.SCHEDULED)
        moved = await self._claimed(desk)
        await desk.pass_time(LEASE)
        assert await desk.settle(await desk.claim(), {"a": Bury("broken")})
        name = moved.delivery_id
        assert await desk.listed() == [name]
        await desk.store.reschedule(name, desk.start - HOUR, of_state=State.DEAD)
        found = await self._claimed(desk)
        assert (found.id, found.delivery_id) == (name, name)
        assert ids(await desk.claim()) == []
