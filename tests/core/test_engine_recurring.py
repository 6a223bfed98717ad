"""Series on their way: when again, what is missed, and what becomes of a failed occurrence."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.core.engine_kit import (
    MICROSECOND,
    Probed,
    WakingStore,
    Witness,
    at,
    delivering,
    down,
    emptied,
    fail,
    kill,
    message,
    now,
    scheduler,
    sleeping,
    until,
)

from duly import (
    Backoff,
    Bury,
    Cancellation,
    Cron,
    Discard,
    Envelope,
    Every,
    Filter,
    Message,
    MessageNotFound,
    State,
    TransportUnavailable,
)
from duly.testing.clock import START, run_virtually

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def fires(transport: Probed) -> list[float]:
    """The moments that the accepted occurrences stand for, in seconds since the start."""
    return [(each.scheduled_at - START).total_seconds() for _, each in transport.ended]


def occurrences(transport: Probed) -> list[int]:
    return [each.occurrence for _, each in transport.ended]


@run_virtually
async def test_it_is_anchored_to_the_schedule_and_does_not_drift() -> None:
    store, transport = WakingStore(), Probed(sleeping(0.7))
    async with delivering(store, transport) as running:
        await running.schedule(message(due=1, recurrence=Every(SECOND, max_occurrences=50)))
        await emptied(store)
    assert fires(transport) == list(range(1, 51))
    assert [time for time, _ in transport.begun] == pytest.approx(list(range(1, 51)), abs=1e-5)
    assert occurrences(transport) == list(range(50))
    assert len({each.delivery_id for _, each in transport.ended}) == 50


@run_virtually
async def test_without_a_moment_every_begins_an_interval_after_its_creation() -> None:
    store, transport = WakingStore(), Probed()
    series = Message("x", recurrence=Every(MINUTE, max_occurrences=2), created_at=START)
    async with delivering(store, transport) as running:
        await running.schedule(series)
        await emptied(store, within=200)
    assert fires(transport) == [60, 120]


@run_virtually
async def test_cron_follows_the_clock_of_its_zone() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        for zone in ("UTC", "Europe/Berlin", "Asia/Kathmandu"):
            hourly = Cron("30 13-18 * * *", timezone=zone, max_occurrences=1)
            await running.schedule(message(zone, recurrence=hourly))
        await emptied(store, within=3 * 3600)
    assert {(each.event_name, each.scheduled_at) for _, each in transport.ended} == {
        ("UTC", datetime(2030, 1, 1, 13, 30, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2030, 1, 1, 12, 30, tzinfo=UTC)),
        ("Asia/Kathmandu", datetime(2030, 1, 1, 12, 45, tzinfo=UTC)),
    }


@run_virtually
async def test_until_is_inclusive() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(message("a", 1, recurrence=Every(SECOND, until=at(4))))
        await running.schedule(message("b", 1, recurrence=Every(SECOND, until=at(4) - MICROSECOND)))
        await emptied(store)
    assert sorted(fires(transport)) == [1, 1, 2, 2, 3, 3, 4]


async def after_downtime(series: Message, seconds: float, within: float = 600) -> list[float]:
    """What is delivered of a series when the first scheduler starts that many seconds late."""
    store, transport = WakingStore(), Probed()
    await scheduler(store, transport).schedule(series)
    await asyncio.sleep(seconds)
    async with delivering(store, transport):
        await emptied(store, within=within)
    assert occurrences(transport) == list(range(len(transport.ended)))
    return fires(transport)


def every_ten(missed: Any, **more: Any) -> Message:
    more = {"grace": SECOND * 15, "until": at(120), **more}
    return message(due=0, recurrence=Every(SECOND * 10, missed=missed, **more))


# A hundred seconds of downtime: fires at 0, 10, ... 80 are more than 15 s late, 90 and 100 not.
ON_TIME = [90, 100, 110, 120]


@pytest.mark.parametrize(
    ("missed", "expected"),
    [("once", [80, *ON_TIME]), ("all", [*range(0, 90, 10), *ON_TIME]), ("skip", ON_TIME)],
)
@run_virtually
async def test_after_a_downtime(missed: str, expected: Sequence[float]) -> None:
    assert await after_downtime(every_ten(missed), 100) == expected


@pytest.mark.parametrize(
    ("missed", "expected"),
    [
        ("once", [80, 90, 100]),
        ("all", [0, 10, 20]),
        ("skip", [90, 100, 110]),
    ],
)
@run_virtually
async def test_only_what_is_taken_up_counts_as_an_occurrence(
    missed: str, expected: Sequence[float]
) -> None:
    assert await after_downtime(every_ten(missed, max_occurrences=3), 100) == expected


@pytest.mark.parametrize(
    ("missed", "late", "expected"),
    [
        ("skip", 15.0, [0, 10, 20]),  # within its grace
        ("skip", 15.000001, [10, 20]),
        ("once", 15.0, [0, 10, 20]),
        ("once", 15.000001, [0, 10, 20]),  # the latest that was missed
        ("once", 25.000001, [10, 20]),
        ("skip", 25.0, [10, 20]),
    ],
)
@run_virtually
async def test_the_edge_of_the_grace(missed: str, late: float, expected: Sequence[float]) -> None:
    assert await after_downtime(every_ten(missed, until=at(20)), late) == expected


@pytest.mark.parametrize(("missed", "expected"), [("once", [100]), ("skip", [])])
@run_virtually
async def test_a_series_that_ended_while_nobody_was_there(
    missed: str, expected: Sequence[float]
) -> None:
    assert await after_downtime(every_ten(missed, until=at(100)), 500) == expected


@run_virtually
async def test_a_year_of_missed_minutes_is_delivered_once_and_at_once() -> None:
    year = 365 * 86_400
    series = message(recurrence=Cron("* * * * *", until=at(year + 60)))
    # Of those more than a minute late the latest, then those within the minute of grace.
    assert await after_downtime(series, year + 30) == [year - 60, year, year + 60]


@run_virtually
async def test_no_grace_at_all_still_delivers_what_is_claimed_in_time() -> None:
    store, transport = WakingStore(), Probed()
    every = Every(SECOND, missed="skip", grace=timedelta(0), max_occurrences=5)
    async with delivering(store, transport) as running:
        await running.schedule(message(due=1, recurrence=every))
        await emptied(store)
    assert fires(transport) == [1, 2, 3, 4, 5]


@run_virtually
async def test_while_an_occurrence_is_retried_the_series_waits() -> None:
    """A retry that comes later than the grace is no miss."""
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if envelope.occurrence == 1 and envelope.attempt < 4:
            raise ValueError

    transport = Probed(publish)
    every = Every(SECOND * 10, missed="skip", grace=SECOND, until=at(60))
    exact = Backoff(initial=SECOND * 8, jitter=0)
    async with delivering(store, transport, recovery=exact) as running:
        await running.schedule(message(id="s", recurrence=every))
        await asyncio.sleep(30)
        waiting = await running.get("s")
        assert (waiting.scheduled_at, waiting.retry_count) == (at(10), 2)
        assert waiting.next_attempt_at > at(30)
        await emptied(store, within=100)
    assert [time for time, each in transport.begun if each.occurrence == 1] == pytest.approx(
        [10, 18, 34, 66], abs=1e-3
    )
    # At 66 s the fires from 20 to 60 are missed.
    assert fires(transport) == [0, 10]


@run_virtually
async def test_a_retry_at_the_very_moment_of_its_fire_is_no_miss_later() -> None:
    store = WakingStore()
    every = Every(HOUR, missed="skip", grace=SECOND, max_occurrences=1)

    def at_once(failure: Any) -> Any:
        from duly import Retry

        store.faults.append(down())
        return Retry()

    transport = Probed(fail)
    async with delivering(store, transport, recovery=at_once) as running:
        await running.schedule(message(id="s", due=10, recurrence=every))
        await until(lambda: transport.begun)
        await asyncio.sleep(SECOND.total_seconds())
        store.faults.clear()
        await until(lambda: len(transport.begun) > 1)
        store.faults.clear()
        transport._publish = None
        await emptied(store)
    assert fires(transport) == [10]


@run_virtually
async def test_a_failed_occurrence_is_buried_alone_and_the_series_goes_on() -> None:
    store, broken = WakingStore(), True

    async def publish(envelope: Envelope) -> None:
        if broken and envelope.occurrence == 1:
            raise ValueError("no")

    transport, witness = Probed(publish), Witness()
    every = Every(SECOND * 10, max_occurrences=4)
    options: dict[str, Any] = {"recovery": lambda _: Bury("enough"), "plugins": [witness]}
    async with delivering(store, transport, **options) as running:
        await running.schedule(message(id="s", recurrence=every, metadata={"a": "b"}))
        await emptied(store, within=100)
        (dead,) = await running.list()
        failed = transport.begun[1][1]
        assert dead.id == dead.delivery_id == failed.delivery_id
        assert dead.recurrence is None
        assert (dead.state, dead.last_error) == (State.DEAD, "enough")
        assert (dead.scheduled_at, dict(dead.metadata)) == (at(10), {"a": "b"})
        broken = False
        await running.replay(dead.id)
        await emptied(store)
        with pytest.raises(MessageNotFound):
            await running.get(dead.id)
    assert fires(transport) == [0, 20, 30, 10]
    _, replayed = transport.ended[-1]
    assert replayed.delivery_id == failed.delivery_id
    assert (replayed.occurrence, replayed.attempt) == (failed.occurrence, 1)
    assert [each.message.id for each in witness.failed[0]] == ["s"]


@run_virtually
async def test_buried_or_discarded_occurrences_count() -> None:
    for verdict in (Bury("x"), Discard()):
        store, transport = WakingStore(), Probed(fail)
        begun = now()
        every = Every(SECOND, max_occurrences=5)
        async with delivering(store, transport, recovery=lambda _, v=verdict: v) as running:
            await running.schedule(message(due=begun, id="s", recurrence=every))
            await emptied(store)
            dead = await running.list(Filter(state=State.DEAD))
        assert [each.occurrence for _, each in transport.begun] == [0, 1, 2, 3, 4]
        assert len(dead) == (5 if isinstance(verdict, Bury) else 0)


@run_virtually
async def test_cancelled_in_flight_it_does_not_recur() -> None:
    store, transport = WakingStore(), Probed(sleeping(1))
    async with delivering(store, transport) as running:
        await running.schedule(message(id="s", recurrence=Every(SECOND * 10)))
        await asyncio.sleep(0.5)
        assert await running.cancel("s") is Cancellation.TOO_LATE
        await asyncio.sleep(60)
        assert await running.list() == []
    assert fires(transport) == [0]


@run_virtually
async def test_cancelled_in_flight_its_failure_is_not_retried() -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        await asyncio.sleep(1)
        raise ValueError

    transport = Probed(publish)
    async with delivering(store, transport) as running:
        await running.schedule(message(id="s", recurrence=Every(SECOND * 10)))
        await asyncio.sleep(0.5)
        assert await running.cancel("s") is Cancellation.TOO_LATE
        await asyncio.sleep(60)
        assert await running.list() == []
    assert len(transport.begun) == 1


@run_virtually
async def test_rescheduled_it_counts_on_from_there() -> None:
    store, transport = WakingStore(), Probed()
    async with delivering(store, transport) as running:
        await running.schedule(message(id="s", recurrence=Every(SECOND * 10, max_occurrences=4)))
        await asyncio.sleep(11)
        await running.reschedule("s", at(33))
        await emptied(store)
    assert fires(transport) == [0, 10, 33, 43]
    assert occurrences(transport) == [0, 1, 2, 3]


@pytest.mark.parametrize("missed", ["skip", "once"])
@pytest.mark.parametrize("claimed_at", [10.0, 10.4])
@run_virtually
async def test_what_was_put_back_in_an_outage_is_not_counted_missed(
    missed: Any, claimed_at: float
) -> None:
    store = WakingStore()

    async def publish(envelope: Envelope) -> None:
        if now() < 900:
            raise TransportUnavailable("gone")

    transport = Probed(publish)
    every = Every(HOUR, missed=missed, grace=SECOND, max_occurrences=2)
    client = scheduler(store, transport)
    await client.schedule(message(id="s", due=10, recurrence=every))
    await asyncio.sleep(claimed_at)
    async with delivering(store, transport):
        await until(lambda: len(transport.ended) == 1, within=1000)
        await until(lambda: len(transport.ended) == 2, within=5000)
    assert fires(transport) == [10, 3610]
    assert occurrences(transport) == [0, 1]


@pytest.mark.parametrize("after", [0, 0.5])
@run_virtually
async def test_what_was_put_back_by_a_stop_is_not_counted_missed(after: float) -> None:
    store, transport = WakingStore(), Probed(sleeping(100))
    every = Every(HOUR, missed="skip", grace=SECOND, max_occurrences=1)
    running = scheduler(store, transport)
    start = asyncio.create_task(running.start())
    await running.schedule(message(id="s", recurrence=every))
    while not transport.begun:  # noqa: ASYNC110  # at the very moment of the fire
        await asyncio.sleep(0)
    await asyncio.sleep(after)
    await running.stop(timedelta(0))
    await start
    await asyncio.sleep(600)
    transport._publish = None
    async with delivering(store, transport):
        await emptied(store)
    assert fires(transport) == [0]


@run_virtually
async def test_what_lapsed_is_not_counted_missed() -> None:
    store, transport = WakingStore(), Probed(sleeping(100))
    every = Every(HOUR, missed="skip", grace=SECOND, max_occurrences=1)
    victim = scheduler(store, transport, stuck_duration=SECOND * 3)
    start = asyncio.create_task(victim.start())
    await victim.schedule(message(id="s", recurrence=every))
    await asyncio.sleep(0.5)
    await kill(victim)
    await asyncio.wait([start])
    await asyncio.sleep(600)
    transport._publish = None
    async with delivering(store, transport):
        await emptied(store)
    assert fires(transport) == [0]


@run_virtually
async def test_published_and_not_settled_a_series_waits_for_the_lease_before_it_goes_on() -> None:
    store, second, lease = WakingStore(), Probed(), SECOND * 70

    async def publish(envelope: Envelope) -> None:
        store.faults.append(down("claim", "settle"))

    first = Probed(publish)
    victim = scheduler(store, first, stuck_duration=lease)
    start = asyncio.create_task(victim.start())
    every = Every(SECOND * 20, missed="all", max_occurrences=6)
    await victim.schedule(message(id="s", recurrence=every))
    await until(lambda: first.ended)
    await kill(victim)
    await asyncio.wait([start])
    store.faults.clear()
    async with delivering(store, second, stuck_duration=lease):
        await emptied(store, within=1000)
    assert fires(first) == [0]
    assert fires(second) == [0, 20, 40, 60, 80, 100]
    assert min(second.times("s")) >= lease.total_seconds()


@run_virtually
async def test_of_a_fenced_holder_nothing_counts() -> None:
    """Its lease lapsed while it was cut off; another delivered the fire; the count is right."""
    store, transport, other = WakingStore(), Probed(sleeping(2)), Probed()
    every = Every(SECOND * 20, max_occurrences=3)
    async with delivering(store, transport, stuck_duration=SECOND * 3) as running:
        await running.schedule(message(id="s", recurrence=every))
        await asyncio.sleep(1)
        store.faults.append(down())
        await asyncio.sleep(5)
        assert len(transport.ended) == 1
        async with delivering_beside(store, other):
            await until(lambda: other.ended)
            store.faults.clear()
            await emptied(store)
    assert sorted([*fires(transport), *fires(other)]) == [0, 0, 20, 40]
    assert sorted([*occurrences(transport), *occurrences(other)]) == [0, 0, 1, 2]


def delivering_beside(store: WakingStore, transport: Probed) -> Any:
    """A scheduler that sees the store behind the faults of the others."""
    return delivering(store.inner, transport)
