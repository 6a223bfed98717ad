"""Occurrences of a series that are buried alone."""

from datetime import UTC, datetime, timedelta

from duly.message import Filter, Message, State, with_changes
from duly.record import occurrence
from duly.recurrence import Every
from duly.store import Bury, Counters, Release, Reschedule
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.recurring import series
from duly.testing.stores.situations import DAY, HOUR, MINUTE, next_fire, retry


class BuriedOccurrenceCases(StoreHarness):
    """``Bury`` of a message with a recurrence."""

    async def _bury(self, desk: Bench, message: Message, *, end: bool = False) -> None:
        batch = await desk.claim()
        assert ids(batch) == [message.id]
        further = None if end else next_fire(batch.claims[0].message)
        assert await desk.settle(batch, {message.id: Bury("broken", further)})

    async def test_buried_alone_and_the_series_goes_on(self, timed: Bench) -> None:
        message = series(timed)
        await timed.put(message)
        await self._bury(timed, message)
        fire = message.scheduled_at + HOUR
        assert await timed.store.get("a") == with_changes(
            message, scheduled_at=fire, next_attempt_at=fire, occurrence_count=1
        )
        dead = occurrence(message, "broken")
        assert await timed.store.get(message.delivery_id) == dead
        assert list(await timed.store.list(Filter(state=State.DEAD))) == [dead]
        assert await timed.counts() == (1, 0, 1)

    async def test_the_last_occurrence_ends_the_series(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        await self._bury(desk, message, end=True)
        assert await desk.store.get("a") is None
        assert await desk.listed() == [message.delivery_id]
        assert await desk.counts() == (0, 0, 1)
        await desk.put("a")
        assert ids(await desk.claim()) == ["a"]

    async def test_a_retried_occurrence_keeps_its_counts(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        assert await desk.settle(await desk.claim(), {"a": next_fire(message)})
        await desk.pass_time(HOUR)
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(batch.claims[0].message, MINUTE)})
        await desk.pass_time(MINUTE)
        batch = await desk.claim()
        before = batch.claims[0].message
        fire = before.scheduled_at + HOUR
        further = Reschedule(fire, Counters(fire, occurrence_count=2))
        assert await desk.settle(batch, {"a": Bury("broken", further)})
        assert await desk.store.get(before.delivery_id) == occurrence(before, "broken")
        after = await desk.store.get("a")
        assert after is not None
        assert (after.retry_count, after.occurrence_count, after.last_error) == (0, 2, None)

    async def test_several_occurrences_are_buried_each(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        for _ in range(3):
            await self._bury(desk, message)
            await desk.pass_time(HOUR)
        dead = await desk.store.list(Filter(state=State.DEAD))
        assert [each.occurrence_count for each in dead] == [0, 1, 2]
        assert len({each.delivery_id for each in dead}) == 3
        assert [each.id for each in dead] == [each.delivery_id for each in dead]
        assert await desk.counts() == (1, 0, 3)

    async def test_its_id_is_taken(self, desk: Bench) -> None:
        message = series(desk)
        name = message.delivery_id
        await desk.put(message)
        others = await desk.put(name, name + "+", after=DAY)
        await self._bury(desk, message)
        for other in others:
            assert await desk.store.get(other.id) == other
        found = await desk.store.get(name + "++")
        assert found == with_changes(occurrence(message, "broken"), id=name + "++")
        assert found.delivery_id == name

    async def test_it_is_replayed_as_a_message_of_its_own(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        await self._bury(desk, message)
        name = message.delivery_id
        assert await desk.store.reschedule(name, None, of_state=State.DEAD) is State.DEAD
        batch = await desk.claim()
        (claim,) = batch.claims
        assert (claim.message.id, claim.message.delivery_id) == (name, name)
        assert (claim.message.recurrence, claim.message.last_error) == (None, None)
        assert claim.message.payload == b"body"
        assert await desk.settle(batch)
        assert await desk.listed() == ["a"]

    async def test_it_is_buried_again_in_its_place(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        await self._bury(desk, message)
        name = message.delivery_id
        await desk.store.reschedule(name, None, of_state=State.DEAD)
        assert await desk.settle(await desk.claim(), {name: Bury("again")})
        assert await desk.store.get(name) == occurrence(message, "again")
        assert await desk.counts() == (1, 0, 1)

    async def test_it_is_cancelled_and_the_series_stays(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        await self._bury(desk, message)
        assert list(await desk.store.cancel([message.delivery_id])) == [State.DEAD]
        assert await desk.listed() == ["a"]

    async def test_nothing_is_buried_of_a_series_withdrawn_in_flight(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        batch = await desk.claim()
        await desk.store.cancel(["a"])
        assert await desk.settle(batch, {"a": Bury("broken", next_fire(message))})
        assert await desk.counts() == (0, 0, 0)

    async def test_by_name_and_by_time(self, desk: Bench) -> None:
        message = desk.message("a", event_name="series", recurrence=Every(HOUR))
        await desk.put(message)
        await self._bury(desk, message)
        assert await desk.listed(event_name="series") == [message.delivery_id, "a"]
        assert await desk.listed(before=desk.start) == [message.delivery_id]

    async def test_the_longest_id(self, desk: Bench) -> None:
        message = series(desk, "\U0001f600" * 255)
        await desk.put(message)
        await self._bury(desk, message)
        assert await desk.listed(state=State.DEAD) == [message.delivery_id]
        assert await desk.listed(state=State.SCHEDULED) == [message.id]

    async def test_fires_before_1970(self, desk: Bench) -> None:
        long_ago = datetime(1969, 12, 31, 23, tzinfo=UTC)
        names = [f"m{number}" for number in range(8)]  # of several shards, where there are shards
        for name in names:
            message = desk.message(
                name, scheduled_at=long_ago, created_at=long_ago - DAY, recurrence=Every(HOUR)
            )
            await desk.put(message)
            await self._bury(desk, message, end=True)
        dead = await desk.store.list(Filter(state=State.DEAD))
        assert [each.id.partition(":")[0] for each in dead] == names
        for each in dead:
            assert await desk.store.get(each.id) == each
        (replayed, cancelled, *_) = [each.id for each in dead]
        assert list(await desk.store.cancel([cancelled])) == [State.DEAD]
        assert await desk.store.reschedule(replayed, None, of_state=State.DEAD) is State.DEAD
        (claim,) = (await desk.claim()).claims
        assert (claim.message.id, claim.message.delivery_id) == (replayed, replayed)

    async def test_the_series_is_due_at_once(self, desk: Bench) -> None:
        message = desk.message("a", -DAY, recurrence=Every(HOUR))
        await desk.put(message)
        await self._bury(desk, message)
        (claim,) = (await desk.claim()).claims
        assert (claim.message.id, claim.message.occurrence_count) == ("a", 1)

    async def test_released_it_is_the_same_occurrence(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        released = Release(desk.start + timedelta(milliseconds=250))
        assert await desk.settle(await desk.claim(), {"a": released})
        await desk.pass_time(MINUTE)
        (claim,) = (await desk.claim()).claims
        assert claim.message.delivery_id == message.delivery_id
