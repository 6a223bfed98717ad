"""Hosts that do not agree on the time: in other zones over daylight-saving changes, or just wrong."""

from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest
from tests.journeys.kit import HOUR, Journey, batch, ids_of, slow
from tests.journeys.props import Clock, Gate

from duly import Cron, Every, Message, after

QUARTER = timedelta(minutes=15)
# When "30 2 * * *" fires in Berlin: the day before, the day of the change, the day after.
SPRING = ["2027-03-27T01:30", "2027-03-28T01:00", "2027-03-29T00:30"]  # 2:30 does not exist
AUTUMN = ["2027-10-30T00:30", "2027-10-31T00:30", "2027-11-01T01:30"]  # 2:30 comes twice


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("nightly", [SPRING, AUTUMN], ids=["spring", "autumn"])
async def test_a_change_of_clocks(journey: Journey, tmp_path: Path, nightly: list[str]) -> None:
    nights = [utc(text) for text in nightly]
    start = nights[0].replace(hour=0, minute=0)
    hours = [start + QUARTER + HOUR * number for number in range(28)]
    fires = sorted([(at, "nightly") for at in nights] + [(at, "hourly") for at in hours])
    for id, expression, until_ in (
        ("nightly", "30 2 * * *", nights[-1]),
        ("hourly", "15 * * * *", hours[-1]),
    ):
        recurrence = Cron(expression, timezone="Europe/Berlin", until=until_)
        message = Message("quick", id=id, scheduled_at=start, recurrence=recurrence)
        await journey.client.schedule(message)
    clock = Clock(tmp_path / "clock", start)
    hosts = [
        await journey.start({"TZ": zone}, clock=clock.path)
        for zone in ("America/New_York", "Asia/Kathmandu")
    ]
    # They take turns, so that each works out when the series goes on at the other.
    for turn, (moment, _) in enumerate(fires):
        awake, asleep = hosts[turn % 2], hosts[1 - turn % 2]
        await journey.freeze(asleep)
        awake.thaw()
        clock.turn(moment)
        await awake.noted("settled", turn // 2 + 1)
        await journey.emptied(but=2)
    for host in hosts:
        host.thaw()
        await host.stop()
    assert sorted((note.at, note.id) for note in journey.notes("begun")) == fires
    assert sorted((note.at, note.id) for note in journey.notes("settled")) == fires
    assert await journey.client.list() == []


@pytest.mark.parametrize("ahead", [10, -10])
async def test_a_clock_that_is_off_by_less_than_the_lease(journey: Journey, ahead: int) -> None:
    hosts = [await journey.start(ahead=each, lease=60, batch=20, slots=40) for each in (0, ahead)]
    waves = [batch(25, prefix=f"wave-{wave}", due=wave / 2) for wave in range(5)]
    later = batch(25, prefix="later", due=8 if ahead > 0 else 3)
    messages = [*slow(100, 0.05), *chain(*waves), *later]
    await journey.client.schedule_many(messages)
    await journey.emptied()
    for host in hosts:
        await host.stop()
    assert set(journey.count("done")) == ids_of(messages)
    assert set(journey.count("begun").values()) == {1}
    # By its own clock, which for SQLite is the store's. It is off by as much as that is.
    assert not journey.early()
    if ahead > 0:
        assert ids_of(later) <= set(hosts[1].ids("done"))


async def test_a_clock_that_is_off_by_more_than_the_lease(journey: Journey, gate: Gate) -> None:
    first_fire = after(seconds=-1)
    series = Message(
        "gated", id="series", scheduled_at=first_fire, recurrence=Every(HOUR),
        metadata=gate.metadata,
    )  # fmt: skip
    messages = batch(20, "gated", metadata=gate.metadata)
    await journey.client.schedule_many([series, *messages])
    right = await journey.start(ahead=0, lease=2, slots=20)
    await right.noted("begun", 5)  # as many as one name may hold
    # For a host whose clock is ahead by more than the lease, that has lapsed as soon as it began.
    wrong = await journey.start(ahead=10, lease=2)
    await wrong.noted("begun", 21)
    gate.open()
    stats = await journey.emptied(but=1)
    await right.stop()
    await wrong.stop()
    assert set(journey.count("settled")) == {"series", *ids_of(messages)}
    assert set(wrong.ids("settled")) == {"series", *ids_of(messages)}
    # Twice is what the other had begun and what it began before it learned that it lost its lease.
    assert {id for id, times in journey.count("begun").items() if times > 1} == set(
        right.ids("begun")
    )
    assert right.ids("settled") == []
    (left,) = await journey.client.list()
    assert left.occurrence_count == 1
    assert left.scheduled_at == first_fire + HOUR
    assert stats.dead == 0
