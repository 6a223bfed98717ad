"""Fires that were missed: which are, whom it is told, and that a running scheduler misses none for good."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    Probed,
    WakingStore,
    Witness,
    at,
    delivering,
    emptied,
    message,
    now,
    scheduler,
    until,
)
from tests.core.telemetry_kit import Told
from tests.core.test_store_time import FarStore

from duly import Cron, Every, Expired, Failure, Message, MissedFires, hookimpl
from duly.memory import MemoryStore
from duly.testing.clock import run_virtually

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
NONE = timedelta(0)


def fires(transport: Probed) -> list[float]:
    return [(each.scheduled_at - at(0)).total_seconds() for _, each in transport.ended]


@pytest.mark.parametrize("way", [0.0, 0.4, 2.0, 4.9])
@pytest.mark.parametrize("grace", [NONE, SECOND / 1000])
@run_virtually
async def test_no_grace_starves_a_series_whose_scheduler_runs(way: float, grace: timedelta) -> None:
    """However far its store is."""
    store, transport, witness = FarStore(way), Probed(), Witness()
    series = Every(SECOND * 30, missed="skip", grace=grace, max_occurrences=10)
    async with delivering(store, transport, plugins=[witness]) as running:
        await asyncio.sleep(3 * way)
        await running.schedule(message(due=30, id="s", recurrence=series))
        await emptied(store, within=400)
    assert fires(transport) == [30.0 * number for number in range(1, 11)]
    assert witness.missed == []


@run_virtually
async def test_a_fire_faster_than_claims_is_delivered_now_and_then() -> None:
    store, transport = FarStore(2.0), Probed()
    series = Every(SECOND / 10, missed="skip", grace=NONE)
    async with delivering(store, transport) as running:
        await running.schedule(message(due=1, id="s", recurrence=series))
        await asyncio.sleep(300)
        await running.cancel("s", missing_ok=True)
    assert len(transport.ended) > 20


@pytest.mark.parametrize("grace", [NONE, SECOND * 60])
@run_virtually
async def test_nor_is_one_missed_again_and_again_that_was_within_its_grace(
    grace: timedelta,
) -> None:
    """Behind a downtime the first fire that was not missed is all but missed by the next claim."""
    store, transport, witness = FarStore(0.01), Probed(), Witness()
    series = Every(SECOND / 1000, missed="skip", grace=grace)
    await scheduler(store, transport).schedule(message(due=-3600, id="s", recurrence=series))
    async with delivering(store, transport, plugins=[witness]) as running:
        await asyncio.sleep(20)
        await running.cancel("s", missing_ok=True)
    assert len(transport.ended) > 100


@run_virtually
async def test_less_grace_than_a_second_counts_as_one() -> None:
    for late, expected in ((1.0, [0, 10]), (1.000001, [10])):
        store, transport = WakingStore(), Probed()
        begun = now()
        series = Every(SECOND * 10, missed="skip", grace=NONE, until=at(begun + 10))
        await scheduler(store, transport).schedule(message(due=begun, recurrence=series))
        await asyncio.sleep(late)
        async with delivering(store, transport):
            await emptied(store)
        assert [each - begun for each in fires(transport)] == pytest.approx(expected)


def down_for(hours: float, missed: Any, id: str, **more: Any) -> Message:
    """A series every hour, of which nothing was claimed for so long."""
    every = Every(HOUR, missed=missed, **more)
    return message("hourly", due=-hours * 3600, id=id, recurrence=every)


@run_virtually
async def test_they_are_told_once_a_batch_when_the_store_has_agreed() -> None:
    store, transport = WakingStore(), Probed()
    told: list[tuple[str, int, Any]] = []

    class Looking(Witness):
        @hookimpl
        def duly_missed(self, missed: Sequence[MissedFires]) -> None:
            self.missed.append(list(missed))
            for each in missed:
                entry = store.inner._ledger.shelf.entries.get(each.message.id)  # type: ignore[attr-defined]  # a memory store
                told.append((each.message.id, each.count, entry and entry.message.scheduled_at))

    witness = Looking()
    await scheduler(store, transport).schedule_many(
        [
            down_for(8.5, "skip", "skip"),
            down_for(8.5, "once", "once"),
            down_for(8.5, "all", "all", max_occurrences=2),
            down_for(8.5, "skip", "over", until=at(-1)),
            message("quarter", -8.5 * 3600, id="cron", recurrence=Cron("*/15 * * * *", missed="skip")),
        ]
    )  # fmt: skip
    async with delivering(store, transport, plugins=[witness]):
        await until(lambda: len(transport.ended) == 4)
    assert len(witness.missed) == 1
    assert sorted(told) == [
        ("cron", 34, at(0)),  # of 35 the last is due right now
        ("once", 8, at(-1800)),
        ("over", 9, None),
        ("skip", 9, at(1800)),
    ]
    assert [each.message.occurrence_count for each in witness.missed[0]] == [0] * 4


@run_virtually
async def test_they_are_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    store, told = WakingStore(), Told()
    await scheduler(store, Probed()).schedule_many(
        [down_for(8.5, "skip", "a"), down_for(1.5, "skip", "b"), message("plain")]
    )
    async with delivering(store, Probed(), **told.options):
        await asyncio.sleep(1)
    assert told.counts("duly.messages.missed") == {"hourly": 9 + 2}
    assert told.counts("duly.messages.delivered") == {"plain": 1}
    (line,) = [each.getMessage() for each in caplog.records if "fires_missed" in each.getMessage()]
    assert "fires=11" in line
    assert "series=2" in line


@run_virtually
async def test_a_century_of_missed_milliseconds_is_counted_at_once() -> None:
    store, witness = WakingStore(), Witness()
    century = 100 * 365 * 86_400
    fast = Every(SECOND / 1000, missed="skip")
    minutes = Cron("* * * * *", missed="skip")
    await scheduler(store, Probed()).schedule_many(
        [message(due=-century, recurrence=each) for each in (fast, minutes)]
    )
    async with delivering(store, Probed(), plugins=[witness]):
        await until(lambda: witness.missed)
    (told,) = witness.missed
    assert [each.count for each in told] == [(century - 60) * 1000, 100]


# --- nothing is given up before it has expired


@pytest.mark.parametrize("way", [0.0, 0.5, 2.0, 4.0])
@run_virtually
async def test_nothing_is_given_up_before_its_end_however_far_the_store_is(way: float) -> None:
    store, transport = FarStore(way), Probed()
    given_up: list[float] = []

    class Looking:
        @hookimpl
        def duly_recover(self, failure: Failure) -> None:
            assert isinstance(failure.error, Expired)
            given_up.append(now() - (failure.message.expires_at - at(0)).total_seconds())  # type: ignore[operator]  # it has one

    # Each stays in its line a while behind what is slow, and may expire meanwhile.
    many = [message("x", id=f"m{each}", expires_at=at(2 * way + each / 4)) for each in range(1, 40)]

    async with delivering(
        store, transport, plugins=[Looking()], max_in_flight=1, batch_size=100
    ) as running:
        transport._publish = pause
        await running.schedule_many(many)
        await until(lambda: len(transport.ended) + len(given_up) == len(many), within=200)
    assert min(given_up) >= 0
    late = [
        begun - (m.expires_at - at(0)).total_seconds()
        for begun, each in transport.begun
        for m in many
        if m.id == each.message_id and m.expires_at is not None
    ]
    assert max(late) < 2 * way + 1e-5  # no longer than an answer takes is it in doubt
    assert len(transport.begun) > 3


async def pause(_envelope: Any) -> None:
    await asyncio.sleep(1)


# --- a clock that was ahead for a moment


@run_virtually
async def test_a_clock_that_was_ahead_for_a_moment_is_told_and_cured() -> None:
    ahead = 0.0
    store, transport = WakingStore(), Probed()
    store.inner = MemoryStore(clock=lambda: at(now() + ahead))
    async with delivering(store, transport) as running:
        await running.schedule(message(id="s", due=10, recurrence=Every(SECOND * 10)))
        await asyncio.sleep(31)
        assert "put back" not in (await running.health()).reason
        ahead = 3600.0
        await asyncio.sleep(11)
        assert "put back" not in (await running.health()).reason
        ahead = 0.0
        await asyncio.sleep(6)
        health = await running.health()
        assert "the store's clock was put back" in health.reason
        assert "silent for 359" in health.reason
        assert health.details["clock_ahead_until"] - at(now() + 3600) < SECOND * 10
        before = len(transport.ended)
        await asyncio.sleep(600)
        assert len(transport.ended) == before
        await running.reschedule("s", at(now() + 5))
        await asyncio.sleep(30)
        assert len(transport.ended) == before + 3
        await asyncio.sleep(3600)
        assert "put back" not in (await running.health()).reason


@run_virtually
async def test_a_clock_that_is_put_by_less_than_a_second_alarms_nobody() -> None:
    ahead = 0.0
    store = WakingStore()
    store.inner = MemoryStore(clock=lambda: at(now() + ahead))
    async with delivering(store, Probed()) as running:
        for put in (0.9, 0.0, 100.0, 99.1):
            ahead = put
            await asyncio.sleep(11)
            assert "put back" not in (await running.health()).reason
