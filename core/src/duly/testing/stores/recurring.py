"""Series that go on from fire to fire."""

import pytest

from duly.message import Message, State, with_changes
from duly.recurrence import Cron, Every, Recurrence
from duly.store import Bury
from duly.testing.stores.bench import LEASE, Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, next_fire, retry


def series(desk: Bench, id: str = "a", recurrence: Recurrence | None = None) -> Message:
    """A series whose first fire is due."""
    return desk.message(
        id, payload=b"body", metadata={"tenant": "7"}, recurrence=recurrence or Every(HOUR)
    )


class SeriesCases(StoreHarness):
    """A series goes on under its id."""

    @pytest.mark.parametrize("recurrence", [Every(HOUR), Cron("0 * * * *")], ids=str)
    async def test_fire_by_fire(self, desk: Bench, recurrence: Recurrence) -> None:
        message = series(desk, recurrence=recurrence)
        await desk.put(message)
        deliveries = set()
        for number in range(4):
            await desk.pass_time(message.scheduled_at + number * HOUR - await desk.time.now())
            batch = await desk.claim()
            (claim,) = batch.claims
            fire = message.scheduled_at + number * HOUR
            assert claim.message == with_changes(
                message, state=State.CLAIMED, scheduled_at=fire, next_attempt_at=fire,
                occurrence_count=number,
            )  # fmt: skip
            deliveries.add(claim.message.delivery_id)
            assert await desk.settle(batch, {"a": next_fire(claim.message)})
            assert ids(await desk.claim()) == []
        assert len(deliveries) == 4
        assert await desk.counts() == (1, 0, 0)

    async def test_a_retry_of_an_occurrence_keeps_its_place(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        assert await desk.settle(await desk.claim(), {"a": next_fire(message)})
        await desk.pass_time(HOUR)
        batch = await desk.claim()
        before = batch.claims[0].message
        assert await desk.settle(batch, {"a": retry(before, MINUTE)})
        await desk.pass_time(MINUTE)
        (claim,) = (await desk.claim()).claims
        assert claim.message.delivery_id == before.delivery_id
        assert claim.message.scheduled_at == before.scheduled_at
        assert (claim.message.occurrence_count, claim.message.retry_count) == (1, 1)

    async def test_the_list_follows_the_fires(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        await desk.put("b", after=MINUTE)
        assert await desk.listed() == ["a", "b"]
        assert await desk.settle(await desk.claim(), {"a": next_fire(message)})
        assert await desk.listed() == ["b", "a"]
        assert await desk.listed(before=desk.start) == []
        assert await desk.listed(after=desk.start + HOUR, event_name="event") == ["a"]

    async def test_a_lapsed_fire_keeps_its_count(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        assert await desk.settle(await desk.claim(), {"a": next_fire(message)})
        await desk.pass_time(HOUR)
        before = (await desk.claim()).claims[0].message
        await desk.pass_time(LEASE)
        (claim,) = (await desk.claim()).claims
        assert (claim.message, claim.lapses) == (before, 1)

    async def test_the_last_fire_ends_the_series(self, desk: Bench) -> None:
        await desk.put(series(desk))
        assert await desk.settle(await desk.claim())
        assert await desk.counts() == (0, 0, 0)
        await desk.pass_time(DAY)
        assert ids(await desk.claim()) == []

    async def test_a_series_cancelled_in_flight_does_not_recur(self, desk: Bench) -> None:
        message = series(desk)
        await desk.put(message)
        batch = await desk.claim()
        await desk.store.cancel(["a"])
        assert await desk.settle(batch, {"a": next_fire(message)})
        assert await desk.counts() == (0, 0, 0)

    async def test_a_fire_in_the_past_is_due_at_once(self, timed: Bench) -> None:
        message = timed.message("a", -DAY, recurrence=Every(HOUR))
        await timed.put(message)
        assert await timed.settle(await timed.claim(), {"a": next_fire(message)})
        (claim,) = (await timed.claim()).claims
        assert claim.message.occurrence_count == 1
        assert claim.message.scheduled_at == message.scheduled_at + HOUR

    async def test_many_series_at_once(self, desk: Bench) -> None:
        number = self.many(100)
        messages = [series(desk, f"m{each:03}") for each in range(number)]
        await desk.put(*messages)
        batch = await desk.claim(number)
        outcomes = {}
        for each, message in enumerate(messages):
            further = next_fire(message, HOUR + each * MINUTE)
            outcomes[message.id] = Bury("broken", further) if each % 2 else further
        assert await desk.settle(batch, outcomes)
        assert await desk.counts() == (number, 0, number // 2)
        assert await desk.listed(state=State.SCHEDULED) == [message.id for message in messages]
