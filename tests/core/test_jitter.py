"""Jitter: each fire is due somewhat later, the same on every host, and nothing else changes."""

import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    at,
    delivering,
    emptied,
    message,
    until,
)

import duly
from duly import Cron, Every, InvalidArgument, Message, TransportUnavailable
from duly._engine.settlements import after_missed, next_fire
from duly.message import first_due, with_changes
from duly.store import Reschedule
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
NONE = timedelta(0)

moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC)
)
jitters = st.timedeltas(timedelta(microseconds=1), timedelta(days=1))


class TestDue:
    def test_it_is_the_same_on_every_host(self) -> None:
        """A change here would move fires that are stored already."""
        rule = Every(HOUR, jitter=MINUTE)
        fire = datetime(2030, 1, 1, tzinfo=UTC)
        assert [(rule.due(id, fire) - fire).total_seconds() for id in ("a", "b", "ü")] == [
            26.255254,
            3.71434,
            45.946449,
        ]

    @given(st.text(min_size=1, max_size=20), moments, jitters)
    def test_it_is_never_before_the_fire_and_always_before_its_jitter(
        self, id: str, fire: datetime, jitter: timedelta
    ) -> None:
        due = Cron("@daily", jitter=jitter).due(id, fire)
        assert fire <= due < fire + jitter

    def test_many_series_are_spread_evenly(self) -> None:
        rule, fire = Every(HOUR, jitter=HOUR), at(0)
        late = [(rule.due(f"tenant-{n}", fire) - fire) / HOUR for n in range(2000)]
        assert abs(statistics.mean(late) - 0.5) < 0.03
        assert max(map([int(10 * each) for each in late].count, range(10))) < 280

    def test_each_fire_of_one_series_has_its_own(self) -> None:
        rule = Every(HOUR, jitter=HOUR)
        late = {rule.due("a", at(3600 * n)) - at(3600 * n) for n in range(100)}
        assert len(late) == 100

    def test_at_the_end_of_time_there_is_none(self) -> None:
        last = datetime.max.replace(tzinfo=UTC)
        assert Cron("@daily", jitter=HOUR).due("a", last) == last

    def test_without_it_a_fire_is_due_at_once(self) -> None:
        assert Every(HOUR).due("a", at(0)) == at(0)
        assert Every(HOUR) == Every(HOUR, jitter=NONE) != Every(HOUR, jitter=SECOND)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (lambda: Every(MINUTE, jitter=MINUTE + SECOND), "jitter must be at most the interval"),
        (lambda: Every(MINUTE, jitter=-SECOND), "jitter must be at least"),
        (
            lambda: Cron("@daily", jitter=timedelta(days=1, microseconds=1)),
            "jitter must be at most",
        ),
        (lambda: Cron("@daily", jitter=5), "jitter must be a timedelta"),  # type: ignore[arg-type]  # what is refused
    ],
)
def test_refused(rule: Any, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        rule()


class TestMessage:
    def test_scheduled_at_is_the_fire_and_the_next_attempt_is_later(self) -> None:
        made = message(id="a", recurrence=Every(HOUR, jitter=MINUTE))
        assert made.scheduled_at == at(0)
        assert at(0) < made.next_attempt_at < at(60)
        assert first_due(made) == made.next_attempt_at
        assert made.delivery_id == message(id="a", recurrence=Every(HOUR)).delivery_id

    def test_the_grid_does_not_drift(self) -> None:
        made = message(id="a", recurrence=Every(HOUR, jitter=HOUR))
        for number in range(1, 50):
            settlement = next_fire(made)
            assert isinstance(settlement, Reschedule)
            assert settlement.counters.scheduled_at == at(3600 * number)
            made = with_changes(
                made,
                scheduled_at=settlement.counters.scheduled_at,
                next_attempt_at=settlement.next_attempt_at,
                occurrence_count=number,
            )
            assert made.scheduled_at <= made.next_attempt_at < made.scheduled_at + HOUR


class TestMissed:
    def told(
        self, missed: Any, now: datetime, **changes: Any
    ) -> tuple[datetime, datetime, datetime | None] | None:
        series = Every(HOUR, jitter=30 * MINUTE, grace=MINUTE, missed=missed)
        found = after_missed(
            with_changes(message(id="a", recurrence=series), **changes), now, SECOND
        )
        if found is None:
            return None
        dropped, moved = found
        assert isinstance(moved, Reschedule)
        assert moved.counters.scheduled_at == dropped.following
        return dropped.first, dropped.last, dropped.following

    def test_grace_counts_from_when_it_was_due(self) -> None:
        due = message(id="a", recurrence=Every(HOUR, jitter=30 * MINUTE)).next_attempt_at
        assert due > at(60)
        assert self.told("skip", due + MINUTE) is None
        assert self.told("skip", due + MINUTE + SECOND) == (at(0), at(0), at(3600))

    def test_what_is_not_due_yet_was_not_missed(self) -> None:
        """Of the fires that are over by the grid the last may still be to come by its jitter."""
        rule = Every(HOUR, jitter=30 * MINUTE)
        second = rule.due("a", at(3600))
        for now in (second - SECOND, second + MINUTE):
            assert self.told("once", now) is None  # the first is the latest that was missed
            assert self.told("skip", now) == (at(0), at(0), at(3600))
        after = second + MINUTE + SECOND
        assert self.told("once", after) == (at(0), at(0), at(3600))
        assert self.told("skip", after) == (at(0), at(3600), at(7200))

    def test_one_that_was_put_back_is_not_missed(self) -> None:
        now = at(9 * 3600)
        assert self.told("skip", now) is not None
        assert self.told("skip", now, _put_back=True) is None
        assert self.told("skip", now, retry_count=1) is None

    def test_one_that_was_moved_may_be_missed(self) -> None:
        moved = {"scheduled_at": at(100), "next_attempt_at": at(100)}
        assert self.told("skip", at(100), **moved) is None
        assert self.told("skip", at(9000), **moved) is not None


@pytest.mark.parametrize("missed", ["once", "all", "skip"])
@run_virtually
async def test_a_series_fires_at_its_own_moments(missed: Any) -> None:
    store, transport, witness = WakingStore(), Probed(), Witness()
    rule = Every(100 * SECOND, jitter=50 * SECOND, max_occurrences=6, missed=missed, grace=NONE)
    async with delivering(store, transport, plugins=[witness]) as running:
        await running.schedule(message(id="a", recurrence=rule))
        await emptied(store, within=900)
    due = [(rule.due("a", at(100 * n)) - at(0)).total_seconds() for n in range(6)]
    assert [when for when, _ in transport.ended] == pytest.approx(due, abs=0.01)
    assert [each.scheduled_at for _, each in transport.ended] == [at(100 * n) for n in range(6)]
    late = [each.lateness for batch in witness.delivered for each in batch]
    assert all(NONE <= each < SECOND / 10 for each in late)
    assert witness.missed == []


@pytest.mark.parametrize("jitter", [NONE, 20 * SECOND])
@run_virtually
async def test_what_was_claimed_in_time_and_put_back_is_delivered_after_the_outage(
    jitter: timedelta,
) -> None:
    store, witness, gone = WakingStore(), Witness(), True

    async def publish(envelope: duly.Envelope) -> None:
        if gone:
            raise TransportUnavailable("gone")

    rule = Every(HOUR, jitter=jitter, missed="skip", grace=SECOND)
    transport = Probed(publish)
    async with delivering(store, transport, plugins=[witness]) as running:
        await running.schedule(message(id="a", due=5, recurrence=rule))
        await until(lambda: transport.begun, within=100)
        await until(lambda: len(transport.begun) > 5, within=300)
        gone = False
        await until(lambda: transport.ended, within=300)
    assert transport.ended[0][1].scheduled_at == at(5)
    assert witness.missed == []


async def test_moved_by_a_caller_it_is_due_just_then() -> None:
    store = duly.MemoryStore(clock=lambda: at(0))
    async with duly.Client(store, load_plugins=False) as client:
        rule = Every(HOUR, jitter=MINUTE)
        await client.schedule(Message("a", id="a", scheduled_at=at(60), recurrence=rule))
        await client.reschedule("a", at(30))
        moved = await client.get("a")
    assert moved.scheduled_at == moved.next_attempt_at == at(30)
