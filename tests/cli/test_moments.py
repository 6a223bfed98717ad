"""Moments and durations as people type them."""

import random
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from duly_cli.errors import Refused
from duly_cli.moments import as_duration, as_moment, zone

NOW = datetime(2026, 11, 30, 14, 0, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


def moment(text: str, place: tzinfo | None = None, after: datetime | None = None) -> datetime:
    return as_moment(text, "--at", now=NOW, zone=place, after=after)


def test_any_sum_of_units() -> None:
    dice = random.Random(81)
    for _ in range(500):
        parts = {unit: dice.randrange(1000) for unit in dice.sample(sorted(UNITS), 3)}
        seconds = sum(number * UNITS[unit] for unit, number in parts.items())
        gap, blank = dice.choice(["", " "]), dice.choice(["", " "])
        text = blank.join(f"{number}{gap}{unit}" for unit, number in parts.items())
        assert as_duration(text, "--in") == timedelta(seconds=seconds), text
        assert as_duration(text.upper(), "--in") == timedelta(seconds=seconds), text
        assert moment(f"+{text}") - NOW == timedelta(seconds=seconds)
        assert NOW - moment(f"now-{text}") == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 600), ("1h30m", 5400), ("90 s", 90), ("2d", 172_800), ("250ms", 0.25),
        ("1.5h", 5400), ("5min", 300), ("30sec", 30), ("0s", 0), ("PT10M", 600),
        ("P1DT1H", 90_000), ("PT0.5S", 0.5), ("P2W", 1_209_600), ("pt1m", 60),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float) -> None:
    assert as_duration(text, "--in") == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "10",
        "m",
        "-5m",
        "10 x",
        "1h foo",
        "h1",
        "P",
        "PT",
        "1e3s",
        "٣m",
        "9" * 400 + "d",
        "nan s",
    ],
)
def test_no_durations(text: str) -> None:
    with pytest.raises(Refused, match="--in: "):
        as_duration(text, "--in")


def test_any_moment_with_a_zone_comes_back() -> None:
    dice = random.Random(17)
    for _ in range(500):
        at = NOW + timedelta(microseconds=dice.randrange(10**15))
        for place in (UTC, BERLIN, ZoneInfo("Asia/Kolkata"), ZoneInfo("America/New_York")):
            local = at.astimezone(place)
            assert moment(local.isoformat()) == at
            bare = local.replace(tzinfo=None, fold=0)
            if bare.replace(tzinfo=place).utcoffset() == local.utcoffset():
                assert moment(bare.isoformat(sep=" "), place) == at


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("now", "2026-11-30T14:00:00+00:00"),
        ("2026-12-01T10:00Z", "2026-12-01T10:00:00+00:00"),
        ("2026-12-01 10:00", "2026-12-01T09:00:00+00:00"),
        ("2026-07-01 10:00", "2026-07-01T08:00:00+00:00"),
        ("2026-12-01", "2026-11-30T23:00:00+00:00"),
        ("16:00", "2026-11-30T15:00:00+00:00"),
        ("9:30", "2026-12-01T08:30:00+00:00"),
        ("15:00", "2026-11-30T14:00:00+00:00"),
        ("14:59:59", "2026-12-01T13:59:59+00:00"),
    ],
)
def test_moments(text: str, found: str) -> None:
    assert moment(text, BERLIN).isoformat() == found


def test_a_time_of_day_that_follows_another() -> None:
    start = moment("02:00", BERLIN)
    assert moment("01:00", BERLIN, start) - start == timedelta(hours=23)
    assert moment("03:00", BERLIN, start) - start == timedelta(hours=1)


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("2026-02-30T00:00Z", None, "is no moment"),
        ("25:00", BERLIN, "is no moment"),
        ("14:00", None, "has no time zone"),
        ("2026-12-01 10:00", None, "has no time zone"),
        ("2027-03-28 02:30", BERLIN, "there is no such moment"),
        ("yesterday", BERLIN, "is no moment"),
        ("", BERLIN, "is no moment"),
        ("now+", BERLIN, "is no"),
        ("+9999999d", BERLIN, "is no moment"),
        ("0001-01-01T00:00+14:00", None, "--at: "),
        ("9999-12-31T23:59-14:00", None, "--at: "),
        ("0001-01-01", ZoneInfo("Asia/Tokyo"), "--at: "),
    ],
)
def test_no_moments(text: str, place: tzinfo | None, said: str) -> None:
    with pytest.raises(Refused) as error:
        moment(text, place)
    assert said in error.value.message
    assert error.value.exit_code == 2


def test_zones() -> None:
    assert zone(None) is UTC
    assert zone("utc") is UTC
    assert zone("Europe/Berlin") == BERLIN
    for name in ("Nowhere/Land", "", "../etc/passwd", "/etc/passwd", "\0", "Europe"):
        with pytest.raises(Refused, match="there is no time zone"):
            zone(name)
