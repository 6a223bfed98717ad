"""``ensure`` of a series of which a fire is due or in hand: what follows, and when."""

import pytest

from duly.message import Filter, State
from duly.recurrence import Every
from duly.store import Bury, Counters, End, Ensured, Release, Reschedule, Settlement
from duly.testing.stores.bench import Bench
from duly.testing.stores.ensuring import OTHER, begun, ensure, following, standing, wanted
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import DAY, HOUR, MINUTE, retry


class EnsureBegunCases(StoreHarness):
    """A fire of the series is due, or in somebody's hands."""

    @pytest.mark.parametrize(
        "situation", ["due", "retrying", "put back", "in flight", "lapsed"], ids=str
    )
    async def test_ensure_payload_begun(self, desk: Bench, situation: str) -> None:
        await begun(desk, situation)
        before = await desk.store.get("a")
        assert await ensure(desk, wanted(desk, b"two")) is Ensured.CHANGED
        assert await standing(desk) == (b"two", HOUR, 0)
        after = await desk.store.get("a")
        assert before is not None
        assert after is not None
        assert (after.state, after.retry_count, after.last_error, after.next_attempt_at) == (
            before.state, before.retry_count, before.last_error, before.next_attempt_at,
        )  # fmt: skip
        await desk.pass_time(10 * MINUTE)
        if situation != "in flight":
            (claim,) = (await desk.claim()).claims
            assert claim.message.payload == b"two"

    @pytest.mark.parametrize("situation", ["due", "retrying", "put back", "lapsed"], ids=str)
    async def test_ensure_rule_begun(self, desk: Bench, situation: str) -> None:
        """The fire that is due keeps its rule, and comes; then the new rule follows."""
        await begun(desk, situation)
        now = await desk.time.now() - desk.start
        assert await ensure(desk, wanted(desk, b"two", recurrence=OTHER)) is Ensured.FOLLOWS
        assert await standing(desk) == (b"two", HOUR, 0)
        found = await desk.store.get("a")
        assert found is not None
        assert found.recurrence == Every(HOUR, anchor=desk.start)
        await desk.pass_time(10 * MINUTE)
        batch = await desk.claim()
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await standing(desk) == (b"two", now + 20 * MINUTE, 1)
        await desk.pass_time(10 * MINUTE)
        batch = await desk.claim()
        (claim,) = batch.claims
        assert (claim.message.recurrence, claim.lapses) == (OTHER, 0)
        await desk.settle(batch, {"a": following(claim.message, OTHER.interval)})
        assert await standing(desk) == (b"two", now + 40 * MINUTE, 2)

    @pytest.mark.parametrize(
        ("told", "after", "count"),
        [
            ("delivered", 80, 1),
            ("buried", 80, 1),
            ("buried and ended", 80, 1),
            ("ended", 80, 1),
            ("retried", 60, 0),
            ("released", 60, 0),
        ],
        ids=str,
    )
    async def test_ensure_rule_in_flight(
        self, desk: Bench, told: str, after: int, count: int
    ) -> None:
        batch = await begun(desk, "in flight")
        assert batch is not None
        message = batch.claims[0].message
        assert await ensure(desk, wanted(desk, recurrence=OTHER)) is Ensured.FOLLOWS
        outcomes: dict[str, Settlement] = {
            "delivered": following(message),
            "buried": Bury("x", following(message)),
            "buried and ended": Bury("x", End(1)),
            "ended": End(1),
            "retried": retry(message, 0 * MINUTE),
            "released": Release(desk.start + HOUR),
        }
        assert await desk.settle(batch, {"a": outcomes[told]})
        assert await standing(desk) == (b"one", after * MINUTE, count)
        buried = [each.id for each in await desk.store.list(Filter(state=State.DEAD))]
        assert buried == ([message.delivery_id] if told.startswith("buried") else [])
        if told in ("retried", "released"):
            batch = await desk.claim()
            await desk.settle(batch, {"a": following(batch.claims[0].message)})
            assert await standing(desk) == (b"one", 80 * MINUTE, 1)
        await desk.pass_time(20 * MINUTE)
        (claim,) = (await desk.claim()).claims
        assert (claim.message.recurrence, claim.message.retry_count) == (OTHER, 0)
        assert claim.lapses == 0

    async def test_ensure_rule_in_flight_missed_all_goes_on(self, desk: Bench) -> None:
        """What ``missed`` delivers up to the cut is not lost by a deploy."""
        every = Every(HOUR, anchor=desk.start, missed="all")
        await ensure(desk, wanted(desk, recurrence=every))
        await desk.pass_time(5 * HOUR)
        assert await ensure(desk, wanted(desk, recurrence=OTHER)) is Ensured.FOLLOWS
        fires = []
        while (batch := await desk.claim()).claims:
            message = batch.claims[0].message
            fires.append((message.scheduled_at - desk.start) // HOUR)
            await desk.settle(batch, {"a": following(message)})
        assert fires == [1, 2, 3, 4, 5]
        assert await standing(desk) == (b"one", 5 * HOUR + 20 * MINUTE, 5)

    async def test_ensure_once_brings_the_latest_that_was_missed(self, desk: Bench) -> None:
        """Up to the cut: what a holder tells of fires beyond it nobody wants any more."""
        await ensure(desk, wanted(desk))
        await desk.pass_time(4 * HOUR + 10 * MINUTE)
        assert await ensure(desk, wanted(desk, recurrence=Every(DAY))) is Ensured.FOLLOWS
        await desk.pass_time(55 * MINUTE)
        latest = desk.start + 5 * HOUR  # of all by now, told by a holder that knows of no cut
        told = Reschedule(latest + MINUTE, Counters(latest))
        assert await desk.settle(await desk.claim(), {"a": told})
        assert await standing(desk) == (b"one", 4 * HOUR, 0)
        batch = await desk.claim()
        message = batch.claims[0].message
        assert message.next_attempt_at > message.scheduled_at  # so that it is not missed again
        await desk.settle(batch, {"a": following(message)})
        assert await standing(desk) == (b"one", DAY + 4 * HOUR + 10 * MINUTE, 1)

    async def test_ensure_once_to_skip_keeps_the_overdue_fire(self, desk: Bench) -> None:
        await ensure(desk, wanted(desk))
        await desk.pass_time(5 * HOUR + MINUTE)
        skips = Every(HOUR, anchor=desk.start, missed="skip")
        assert await ensure(desk, wanted(desk, recurrence=skips)) is Ensured.FOLLOWS
        (claim,) = (await desk.claim()).claims
        assert claim.message.recurrence == Every(HOUR, anchor=desk.start)

    async def test_ensure_same_rule_follows_on_its_grid(self, desk: Bench) -> None:
        """Without an anchor too: an option alone moves no fire."""
        await ensure(desk, wanted(desk, recurrence=Every(HOUR)))
        await desk.pass_time(65 * MINUTE)
        skips = Every(HOUR, missed="skip")
        assert await ensure(desk, wanted(desk, recurrence=skips)) is Ensured.FOLLOWS
        batch = await desk.claim()
        await desk.settle(batch, {"a": following(batch.claims[0].message)})
        assert await standing(desk) == (b"one", 2 * HOUR, 1)
