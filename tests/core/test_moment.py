from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import duly
from duly.moment import as_duration, as_moment, from_microseconds, to_microseconds

WESTMOST, EASTMOST = timezone(-timedelta(hours=23)), timezone(timedelta(hours=23))
moments = st.datetimes(timezones=st.sampled_from([UTC, WESTMOST, EASTMOST, ZoneInfo("Asia/Tokyo")]))


def test_after_counts_from_now_in_utc():
    before = datetime.now(UTC)
    moment = duly.after(hours=1)
    assert before + timedelta(hours=1) <= moment <= datetime.now(UTC) + timedelta(hours=1)
    assert moment.tzinfo is UTC
    assert duly.after(hours=-1) < before
    assert duly.after(seconds=0.5, minutes=1) > before


@pytest.mark.parametrize(
    "arguments",
    [
        {"fortnights": 1},
        {"hours": "1"},
        {"hours": None},
        {"days": 10**9},
        {"days": 3_000_000},
        {"days": -800_000},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
    ],
    ids=str,
)
def test_after_refuses_what_is_no_moment(arguments):
    with pytest.raises(duly.InvalidArgument, match="after"):
        duly.after(**arguments)


@pytest.mark.parametrize("unnamed", [60, 1.5, "1", timedelta(hours=1), 10**5000], ids=type)
def test_after_says_how_to_name_what_it_counts(unnamed):
    with pytest.raises(duly.InvalidArgument, match=r"^after\(.*as in duly\.after\(seconds=60\)"):
        duly.after(unnamed)
    with pytest.raises(duly.InvalidArgument, match="total_seconds"):
        duly.after(timedelta(hours=1))


@given(moments)
def test_a_moment_is_kept_in_utc_or_refused_as_out_of_range(moment):
    in_range = 2 <= moment.year <= 9998
    try:
        kept = as_moment(moment, "at")
    except duly.InvalidArgument:
        assert not in_range
    else:
        assert kept == moment.astimezone(
            UTC
        )  # across zones an hour that comes twice equals nothing
        assert kept.tzinfo is UTC


class Nowhere(tzinfo):
    """A time zone that does not know its offset."""

    def utcoffset(self, _moment):
        return None

    dst = tzname = utcoffset


@pytest.mark.parametrize(
    "value",
    [None, "2030-01-01", 1893456000, datetime(2030, 1, 1).date(), timedelta(1)],
    ids=repr,
)
def test_what_is_no_datetime_is_refused(value):
    with pytest.raises(duly.InvalidArgument, match="at must be a datetime"):
        as_moment(value, "at")


@pytest.mark.parametrize("zone", [None, Nowhere()])
def test_a_naive_datetime_is_refused_with_advice(zone):
    with pytest.raises(duly.InvalidArgument, match="at is naive.*time zone"):
        as_moment(datetime(2030, 1, 1, tzinfo=zone), "at")


def test_the_error_is_of_the_class_asked_for():
    with pytest.raises(duly.InvalidMessage):
        as_moment(None, "at", duly.InvalidMessage)


@given(st.datetimes(timezones=st.just(UTC)))
@example(datetime.max.replace(tzinfo=UTC))
@example(datetime.min.replace(tzinfo=UTC))
def test_microseconds_are_exact(moment):
    microseconds = to_microseconds(moment)
    assert from_microseconds(microseconds) == moment
    assert from_microseconds(microseconds).tzinfo is UTC
    if moment < datetime.max.replace(tzinfo=UTC):
        assert to_microseconds(moment + timedelta(microseconds=1)) == microseconds + 1


@pytest.mark.parametrize("microseconds", [10**18, -(10**18), 10**30])
def test_microseconds_beyond_the_calendar_overflow(microseconds):
    with pytest.raises(OverflowError):
        from_microseconds(microseconds)


def test_bounds_of_a_duration_are_inclusive():
    second = timedelta(seconds=1)
    assert as_duration(second, "nap", at_least=second, at_most=second) == second
    with pytest.raises(duly.InvalidArgument, match="nap must be at least 0:00:01"):
        as_duration(second - timedelta(microseconds=1), "nap", at_least=second)
    with pytest.raises(duly.InvalidArgument, match="nap must be at most 0:00:01"):
        as_duration(second + timedelta(microseconds=1), "nap", at_most=second)


@pytest.mark.parametrize("value", [5, 5.0, "5", None])
def test_what_is_no_duration_is_refused_with_advice(value):
    with pytest.raises(
        duly.InvalidArgument, match=r"nap must be a timedelta.*timedelta\(seconds=5\)"
    ):
        as_duration(value, "nap")
