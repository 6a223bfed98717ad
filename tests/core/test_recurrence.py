import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import duly
from duly import Cron, Every
from duly._values.zones import zone

AT = datetime(2030, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days")
)

# Days on which clocks are put, one for each kind of change.
CHANGES = {
    "Europe/London": [date(2026, 3, 29), date(2026, 10, 25)],  # an hour, at 1 and at 2
    "America/New_York": [date(2026, 3, 8), date(2026, 11, 1)],  # an hour, west of UTC
    "Australia/Lord_Howe": [date(2026, 10, 4), date(2026, 4, 5)],  # half an hour
    "America/Havana": [date(2026, 3, 8), date(2026, 11, 1)],  # an hour, at midnight
    "Antarctica/Troll": [date(2026, 3, 29), date(2026, 10, 25)],  # two hours
    "Asia/Kathmandu": [date(2026, 3, 29)],  # never, and not by whole hours from UTC
    "Pacific/Apia": [date(2011, 12, 30)],  # a whole day was left out
    "UTC": [date(2026, 3, 29)],
}


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def fires(recurrence: Cron | Every, start: datetime, end: datetime) -> list[datetime]:
    """The fires from ``start`` to ``end``, as a series of messages finds them, one by one."""
    found = []
    fire = recurrence.first(start, AT)
    while fire is not None and fire <= end:
        found.append(fire)
        fire = recurrence.following(fire)
    return found


class TestShared:
    @pytest.mark.parametrize(
        "kind", [lambda **a: Every(HOUR, **a), lambda **a: Cron("0 * * * *", **a)]
    )
    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"max_occurrences": 0}, "max_occurrences must be a whole number from 1"),
            ({"max_occurrences": -1}, "max_occurrences must be a whole number from 1"),
            ({"max_occurrences": True}, "max_occurrences must be a whole number from 1"),
            ({"max_occurrences": 2.0}, "max_occurrences must be a whole number from 1"),
            ({"max_occurrences": "2"}, "max_occurrences must be a whole number from 1"),
            ({"until": datetime(2030, 1, 1)}, "until is naive"),
            ({"until": "2030-01-01"}, "until must be a datetime"),
            ({"until": HOUR}, "until must be a datetime"),
            ({"missed": "never"}, 'missed must be "once", "all" or "skip"'),
            ({"missed": None}, 'missed must be "once", "all" or "skip"'),
            ({"missed": ["once"]}, 'missed must be "once", "all" or "skip"'),
            ({"grace": 60}, "grace must be a timedelta"),
            ({"grace": None}, "grace must be a timedelta"),
            ({"grace": -timedelta(microseconds=1)}, "grace must be at least"),
        ],
        ids=str,
    )
    def test_every_argument_is_checked(self, kind, arguments, complaint):
        with pytest.raises(duly.InvalidArgument, match=complaint):
            kind(**arguments)

    @pytest.mark.parametrize("recurrence", [Every(HOUR), Cron("0 * * * *")])
    def test_defaults(self, recurrence):
        assert recurrence.max_occurrences is None
        assert recurrence.until is None
        assert recurrence.missed == "once"
        assert recurrence.grace == MINUTE

    @pytest.mark.parametrize(
        "recurrence", [Every(HOUR, grace=timedelta(0)), Cron("0 * * * *", missed="all")]
    )
    def test_equal_ones_are_equal(self, recurrence):
        assert recurrence == type(recurrence)(**{field: getattr(recurrence, field) for field in (
            "interval" if isinstance(recurrence, Every) else "expression", "grace", "missed")})  # fmt: skip
        assert hash(recurrence) == hash(recurrence)

    def test_the_end_by_count(self):
        recurrence = Every(HOUR, max_occurrences=3)
        assert [recurrence.ends_after(taken) for taken in range(5)] == [
            False,
            False,
            False,
            True,
            True,
        ]
        assert not Every(HOUR).ends_after(10**9)

    @pytest.mark.parametrize("recurrence", [Every(HOUR, until=at("2030-01-01T02:00+00:00")),
                                            Cron("0 * * * *", until=at("2030-01-01T03:00+01:00"))])  # fmt: skip
    def test_until_is_inclusive(self, recurrence):
        start = at("2030-01-01T00:00Z")
        assert fires(recurrence, start, start + DAY) == [start, start + HOUR, start + 2 * HOUR]
        assert recurrence.latest(start, start + DAY) == start + 2 * HOUR
        assert recurrence.first(start + 3 * HOUR, AT) is None


class TestEvery:
    @pytest.mark.parametrize(
        ("interval", "complaint"),
        [
            (timedelta(0), "at least 0:00:00.001"),
            (timedelta(microseconds=999), "at least 0:00:00.001"),
            (-HOUR, "at least"),
            (3600, "interval must be a timedelta"),
            ("1h", "interval must be a timedelta"),
            (None, "interval must be a timedelta"),
        ],
    )
    def test_the_interval_is_checked(self, interval, complaint):
        with pytest.raises(duly.InvalidArgument, match=complaint):
            Every(interval)

    def test_it_starts_at_scheduled_at_or_one_interval_after_creation(self):
        assert Every(HOUR).first(AT, AT - DAY) == AT
        assert Every(HOUR).first(None, AT) == AT + HOUR

    @given(st.timedeltas(timedelta(milliseconds=1), 3 * DAY), st.timedeltas(timedelta(0), 5 * DAY))
    def test_it_never_drifts(self, interval, late):
        every = Every(interval)
        latest = every.latest(AT, AT + late)
        assert (latest - AT) % interval == timedelta(0)
        assert latest <= AT + late < every.following(latest)

    def test_the_latest_is_never_before_the_fire_itself(self):
        assert Every(HOUR).latest(AT, AT - DAY) == AT

    def test_it_ends_with_the_calendar(self):
        last = datetime.max.replace(tzinfo=UTC)
        assert Every(HOUR).following(last) is None
        assert Every(timedelta.max).first(None, AT) is None
        assert Every(timedelta.max).first(AT, AT) == AT


class TestCronArguments:
    @pytest.mark.parametrize(
        "expression",
        [
            "", "*", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
            "* * * 0 *", "* * * 13 *", "* * * * 8", "-1 * * * *", "*/0 * * * *", "5-61 * * * *",
            "a * * * *", "@noon", "1,,2 * * * *", "1- * * * *", "/5 * * * *", "* * * * MON#6",
            "* * * * L", "* * * * ²L", "1" * 5000 + " * * * *", "\0 * * * *", "\ud800 * * * *", "1.5 * * * *",
        ],
    )  # fmt: skip
    def test_what_is_no_expression_is_refused_with_the_fields(self, expression):
        right = len(expression.split()) in (5, 6)
        hint = (
            "(minute|hour|day of month|month|day of week) '"
            if right
            else "five fields are expected"
        )
        with pytest.raises(duly.InvalidArgument, match=f"cron expression.*{hint}"):
            Cron(expression)

    @pytest.mark.parametrize("expression", [None, 5, b"* * * * *", ["*"] * 5], ids=repr)
    def test_what_is_no_text_is_refused(self, expression):
        with pytest.raises(duly.InvalidArgument, match="a cron expression is text"):
            Cron(expression)

    @pytest.mark.parametrize("expression", ["0 0 30 2 *", "0 0 31 2 *", "0 0 31 2,4,6,9,11 *"])
    def test_what_can_never_fire_is_refused(self, expression):
        with pytest.raises(duly.InvalidArgument):
            Cron(expression)

    @given(st.text(alphabet="0123456789*/,-#LWMONSUJAF ", max_size=30))
    @settings(max_examples=500)
    def test_any_text_is_an_expression_or_refused(self, expression):
        try:
            cron = Cron(expression)
        except duly.InvalidArgument:
            return
        first = cron.first(AT, AT)
        assert first is None or first >= AT

    def test_blanks_do_not_matter(self):
        assert Cron("  0\t12 * *   MON ") == Cron("0 12 * * MON")

    @pytest.mark.parametrize(
        "zone",
        ["Europe/Atlantis", "europe/berlin", "", ".", "..", "../UTC", "/etc/localtime", "localtime",
         "posixrules", "right/Europe/Berlin", "posix/Europe/Berlin", "America", "UTC\0", "zones",
         "Europe/Berlin/", "Europe//Berlin", "__init__.py", "\ud800", "a" * 5000, None, 1, UTC, ZoneInfo("UTC")],
        ids=lambda zone: repr(zone)[:30],
    )  # fmt: skip
    def test_only_iana_names_are_time_zones(self, zone):
        with pytest.raises(duly.InvalidArgument, match="timezone"):
            Cron("* * * * *", timezone=zone)

    def test_a_host_without_zones_of_its_own_knows_the_same_ones(self, monkeypatch):
        monkeypatch.setenv("PYTHONTZPATH", "")
        assert Cron("0 12 * * *", timezone="Asia/Kolkata").first(AT, AT) == at("2030-05-07T06:30Z")


class TestCron:
    @pytest.mark.parametrize(
        ("expression", "start", "expected"),
        [
            ("0 12 * * *", "2030-05-06T12:00:00Z", "2030-05-06T12:00:00Z"),
            ("0 12 * * *", "2030-05-06T12:00:00.000001Z", "2030-05-07T12:00:00Z"),
            ("0 12 * * *", "2030-05-06T11:59:59.999999Z", "2030-05-06T12:00:00Z"),
            ("30 0 12 * * *", "2030-05-06T12:00:00Z", "2030-05-06T12:00:30Z"),
            ("* * * * * *", "2030-05-06T12:00:00.5Z", "2030-05-06T12:00:01Z"),
            ("0 0 29 2 *", "2030-05-06T12:00:00Z", "2032-02-29T00:00:00Z"),
            ("0 0 L * *", "2030-02-06T12:00:00Z", "2030-02-28T00:00:00Z"),
            ("0 0 * * FRI#2", "2030-05-06T12:00:00Z", "2030-05-10T00:00:00Z"),
            ("0 0 13 * FRI", "2030-05-06T12:00:00Z", "2030-05-10T00:00:00Z"),
        ],
    )
    def test_the_first_match_is_at_or_after_the_start(self, expression, start, expected):
        assert Cron(expression).first(at(start), AT) == at(expected)

    def test_without_a_start_it_is_after_now(self):
        before = datetime.now(UTC)
        first = Cron("* * * * * *").first(None, AT)
        assert before < first <= datetime.now(UTC) + SECOND

    def test_the_answer_is_in_utc(self):
        assert Cron("0 12 * * *", timezone="Asia/Tokyo").first(AT, AT).tzinfo is UTC

    @pytest.mark.parametrize("zone", ["UTC", "Europe/London", "Australia/Lord_Howe"])
    @pytest.mark.parametrize("expression", ["* * * * *", "0 0 1 1 *", "0 0 * 2 MON#5"])
    def test_the_ends_of_the_calendar_are_no_trouble(self, expression, zone):
        cron = Cron(expression, timezone=zone)
        last = datetime.max.replace(tzinfo=UTC)
        assert cron.following(last) is None
        assert cron.first(last, AT) is None
        assert cron.first(datetime.min.replace(tzinfo=UTC), AT) is not None
        assert cron.latest(last - 400 * DAY, last) <= last


class TestDaylightSaving:
    def test_a_fixed_hour_fires_once_on_the_day_the_hour_comes_twice(self):
        cron = Cron("30 1 * * *", timezone="Europe/London")
        assert fires(cron, at("2026-10-24T12:00Z"), at("2026-10-26T12:00Z")) == [
            at("2026-10-25T00:30Z"),  # 01:30 for the first time
            at("2026-10-26T01:30Z"),
        ]

    def test_nor_does_it_fire_when_asked_between_the_two(self):
        cron = Cron("30 1 * * *", timezone="Europe/London")
        for minutes in range(1, 95):
            start = at("2026-10-25T00:30Z") + timedelta(minutes=minutes)
            assert cron.first(start, AT) == at("2026-10-26T01:30Z")
            assert cron.following(start) == at("2026-10-26T01:30Z")

    def test_what_runs_all_day_runs_through_the_repeated_hour(self):
        cron = Cron("*/15 * * * *", timezone="Europe/London")
        start = at("2026-10-24T23:00Z")
        quarters = [start + quarter * timedelta(minutes=15) for quarter in range(17)]
        assert fires(cron, start, start + 4 * HOUR) == quarters

    def test_what_falls_into_the_gap_fires_right_after_it(self):
        cron = Cron("30 1 * * *", timezone="Europe/London")
        assert fires(cron, at("2026-03-28T12:00Z"), at("2026-03-30T12:00Z")) == [
            at("2026-03-29T01:00Z"),  # 02:00, the first moment after the gap
            at("2026-03-30T00:30Z"),
        ]

    def test_several_that_fall_into_the_gap_fire_once(self):
        cron = Cron("10,20,30 1 * * *", timezone="Europe/London")
        assert fires(cron, at("2026-03-29T00:00Z"), at("2026-03-29T20:00Z")) == [
            at("2026-03-29T01:00Z")
        ]

    def test_what_runs_all_day_steps_over_the_gap(self):
        cron = Cron("*/20 * * * *", timezone="Europe/London")
        start = at("2026-03-29T00:00Z")
        thirds = [start + third * timedelta(minutes=20) for third in range(10)]
        assert fires(cron, start, start + 3 * HOUR) == thirds

    def test_an_hour_that_comes_twice_is_no_hour_lost_for_the_next(self):
        cron = Cron("0 2 * * *", timezone="Europe/London")
        assert fires(cron, at("2026-10-25T00:00Z"), at("2026-10-25T20:00Z")) == [
            at("2026-10-25T02:00Z")
        ]

    @pytest.mark.parametrize(
        ("expression", "start", "expected"),
        [
            # The clock is put from 2:00 to 2:30 (15:30 UTC), and from 2:00 to 1:30 (15:00 UTC).
            ("15 2 * * *", "2026-10-03T12:00Z", ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]),
            ("45 * * * *", "2026-10-03T15:00Z", ["2026-10-03T15:15Z", "2026-10-03T15:45Z", "2026-10-03T16:45Z"]),
            ("45 1 * * *", "2026-04-04T12:00Z", ["2026-04-04T14:45Z", "2026-04-05T15:15Z"]),
            ("45 * * * *", "2026-04-04T14:00Z", ["2026-04-04T14:45Z", "2026-04-04T15:15Z", "2026-04-04T16:15Z"]),
            ("*/30 2 * * *", "2026-04-04T12:00Z", ["2026-04-04T15:30Z", "2026-04-04T16:00Z"]),
        ],
    )  # fmt: skip
    def test_a_zone_that_changes_by_half_an_hour(self, expression, start, expected):
        cron = Cron(expression, timezone="Australia/Lord_Howe")
        wanted = [at(each) for each in expected]
        assert fires(cron, at(start), wanted[-1]) == wanted


# --- against what the rules say in so many words


def by_the_rules(cron: Cron, start: datetime, end: datetime) -> list[datetime]:
    """What fires from ``start`` to ``end``, by looking at every minute."""
    where = zone(cron.timezone)  # those of the host may be older
    minutes, hours = (
        numbers(field, top) for field, top in zip(cron.expression.split(), (60, 24), strict=False)
    )
    if cron.expression.startswith("*") or cron.expression.split()[1].startswith("*"):
        found = []
        for number in range(int((end - start) / MINUTE) + 1):
            moment = start + number * MINUTE
            shown = moment.astimezone(where)
            if shown.hour in hours and shown.minute in minutes:
                found.append(moment)
        return found
    chosen = set()
    day = start.date() - 2 * DAY
    while day <= end.date() + 2 * DAY:
        for hour, minute in itertools.product(hours, minutes):
            wall = datetime.combine(day, time(hour, minute), where)
            while wall.astimezone(UTC).astimezone(where).replace(tzinfo=None) != wall.replace(
                tzinfo=None
            ):
                wall += MINUTE  # it is in the gap
            chosen.add(wall.astimezone(UTC))
        day += DAY
    return sorted(moment for moment in chosen if start <= moment <= end)


def numbers(field: str, top: int) -> set[int]:
    if field.startswith("*"):
        return set(range(0, top, int(field[2:] or 1)))
    return {int(number) for number in field.split(",")}


def listed(top: int) -> st.SearchStrategy[str]:
    few = st.sets(st.integers(0, top - 1), min_size=1, max_size=3)
    return few.map(lambda chosen: ",".join(map(str, sorted(chosen))))


near = st.sampled_from([0, 1, 2, 3, 23]).map(str) | listed(24)  # clocks are put at night
expressions = st.builds(
    "{} {} * * *".format,
    st.sampled_from(["*/7", "*/15", "*/20", "*/45"]) | listed(60),
    st.sampled_from(["*", "*/2", "*/5"]) | near,
)
nights = st.sampled_from([(name, day) for name, days in CHANGES.items() for day in days])


@given(nights, expressions, st.integers(0, 35), st.integers(0, 59))
@settings(max_examples=150)
def test_around_every_change_of_the_clock_the_rules_hold(night, expression, hour, minute):
    name, day = night
    cron = Cron(expression, timezone=name)
    start = datetime.combine(day, time(), UTC) - DAY + hour * HOUR + minute * MINUTE
    assert fires(cron, start, start + DAY) == by_the_rules(cron, start, start + DAY)


def test_a_fire_that_was_moved_may_be_followed_by_a_match_within_the_second():
    cron = Cron("*/2 * * * * *")
    moved = at("2030-01-01T00:00:03.7Z")
    assert cron.latest(moved, at("2030-01-01T00:00:03.9Z")) == moved
    assert cron.latest(moved, at("2030-01-01T00:00:04.1Z")) == at("2030-01-01T00:00:04Z")
    assert cron.latest(moved, at("2030-01-01T00:00:06.1Z")) == at("2030-01-01T00:00:06Z")


@given(nights, expressions, st.integers(0, 48 * 60), st.integers(0, 48 * 60))
@settings(max_examples=150)
def test_the_latest_is_what_plain_counting_finds(night, expression, first, late):
    name, day = night
    cron = Cron(expression, timezone=name)
    begin = datetime.combine(day, time(), UTC) - DAY
    fire = cron.first(begin + first * MINUTE, AT)
    bound = fire + late * MINUTE
    latest = fire
    for each in fires(cron, fire, bound):
        latest = each
    assert cron.latest(fire, bound) == latest


@given(nights, expressions, st.timedeltas(timedelta(0), 2 * DAY))
@example(("Pacific/Apia", date(2011, 12, 30)), "0 10 * * *", timedelta(0))
def test_every_fire_is_later_than_what_it_follows(night, expression, offset):
    name, day = night
    cron = Cron(expression, timezone=name)
    moment = datetime.combine(day, time(), UTC) - DAY + offset
    for _ in range(5):
        following = cron.following(moment)
        assert following > moment
        moment = following


@pytest.mark.parametrize(
    ("expression", "fire", "bound", "latest"),
    [
        # The clock is put on 2026-10-25: the second day ends at another hour of UTC than it began.
        ("* * * 1 * *", "2026-10-01T16:00Z", "2026-11-20T07:00Z", "2026-11-01T22:59:59Z"),
        ("* * * 25 * *", "2026-10-24T22:00Z", "2026-11-20T07:00Z", "2026-10-25T22:59:59Z"),
        ("* * * 25 * *", "2026-10-24T22:00Z", "2026-10-25T01:30Z", "2026-10-25T01:30:00Z"),
        ("* * * 29 3 *", "2026-03-28T23:00Z", "2026-10-20T07:00Z", "2026-03-29T21:59:59Z"),
        ("* * * 1 1 *", "2026-01-01T16:00Z", "2026-11-20T07:00Z", "2026-01-01T22:59:59Z"),
        ("* * 9-17 * * 1-5", "2026-11-20T08:00Z", "2026-11-23T07:00Z", "2026-11-20T16:59:59Z"),
        ("* * 29 2 *", "2024-02-28T23:00Z", "2028-02-01T00:00Z", "2024-02-29T22:59Z"),
        ("* * * * * *", "2026-01-01T00:00Z", "2036-01-01T00:00Z", "2036-01-01T00:00Z"),
        ("30 2 * * *", "2026-10-01T00:30Z", "2026-10-25T23:00Z", "2026-10-25T00:30Z"),
    ],
)
def test_however_many_were_missed_few_are_looked_at(monkeypatch, expression, fire, bound, latest):
    looked_at = []
    plain = Cron._fires

    def counted(self, moment):
        for each in plain(self, moment):
            looked_at.append(each)
            yield each

    monkeypatch.setattr(Cron, "_fires", counted)
    cron = Cron(expression, timezone="Europe/Berlin")
    assert cron.latest(at(fire), at(bound)) == at(latest)
    assert len(looked_at) < 64


@given(nights, st.sampled_from(["*", "*/7", "5,50"]), near, st.integers(1, 28), st.integers(0, 9))
@settings(max_examples=50)
def test_the_latest_of_a_wide_window_is_what_plain_counting_finds(night, minute, hour, day, bound):
    name, changed = night
    cron = Cron(f"{minute} {hour} {day} * *", timezone=name)
    begin = datetime.combine(changed, time(), UTC) - 20 * DAY
    fire = cron.first(begin, AT)
    end = fire + bound * 2 * DAY + 90 * MINUTE
    assert cron.latest(fire, end) == fires(cron, fire, end)[-1]


def test_a_decade_of_missed_minutes_is_found_at_once():
    cron = Cron("* * * * *", timezone="Europe/London")
    assert cron.latest(AT, AT.replace(year=2040)) == AT.replace(year=2040, second=0, microsecond=0)
    yearly = Cron("30 1 25 12 *", timezone="Europe/London")
    assert yearly.latest(at("2030-12-25T01:30Z"), AT.replace(year=2040)) == at("2039-12-25T01:30Z")
