"""Cron expressions as people write them: what is taken, in which fields it is kept, what is refused."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from typing import NamedTuple

import attrs
import pytest
from cronsim import CronSim, CronSimError
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.test_recurrence import AT, CHANGES, fires

import duly
from duly import Cron, Message, State
from duly._values.zones import zone
from duly.record import from_record, to_record

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

ONE_SPELLING = {
    "0 12 * * ?": "0 12 * * *",
    "0 0 12 ? * MON-FRI": "0 0 12 * * 1-5",
    "0 9 * * MONDAY": "0 9 * * 1",
    "0 9 * * tue": "0 9 * * 2",
    "0 9 * * Thurs": "0 9 * * 4",
    "0 9 1 january *": "0 9 1 1 *",
    "0 9 1 Jan-MARCH,sept *": "0 9 1 1-3,9 *",
    "0 0 * * FRI-SUN": "0 0 * * 5-7",
    "0 0 * * SAT-MON": "0 0 * * 0,1,6",
    "0 0 * * 7-2": "0 0 * * 0-2",
    "0 0 * * 7-7": "0 0 * * 7",
    "0 0 * * FRI#2,monL": "0 0 * * 5#2,1L",
    "0 22-2 * * *": "0 0,1,2,22,23 * * *",
    "0 22-4/3 * * *": "0 1,4,22 * * *",
    "50-10/10 * * * *": "0,10,50 * * * *",
    "0 0 1 11-2 *": "0 0 1 1,2,11,12 *",
    "0 0 30-2 * *": "0 0 1,2,30,31 * *",
    "0 9-9/1 * * *": "0 9 * * *",
    "0 0 28-28/5 * *": "0 0 28 * *",
    "0 9 * * FRI-FRI/1": "0 9 * * 5",
    "59/2 * * * *": "59 * * * *",
    "50/15 * * * *": "50 * * * *",
    "0-10/11 5,05 * * *": "0 5 * * *",
    "*/60 30 2 * * *": "0 30 2 * * *",
    "*/60 * * * *": "*/60 * * * *",
    "*/1 8-18/1 * * *": "* 8-18 * * *",
    "05 007 * * *": "5 7 * * *",
    " 0\t0  l * * ": "0 0 L * *",
    "0 0 lw * *": "0 0 LW * *",
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@Midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    " @yearly ": "0 0 1 1 *",
    "@ANNUALLY": "0 0 1 1 *",
}


@pytest.mark.parametrize(("written", "kept"), ONE_SPELLING.items())
def test_what_is_written_in_several_ways_is_kept_in_one(written: str, kept: str) -> None:
    cron = Cron(written)
    assert cron.expression == kept
    assert cron == Cron(kept)
    assert hash(cron) == hash(Cron(kept))
    assert f"expression='{kept}'" in repr(cron)
    record = to_record(Message("x", scheduled_at=AT, recurrence=cron))
    assert f'"cron":"{kept}"' in (record.recurrence or "")
    assert from_record(record, State.SCHEDULED).recurrence == cron


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("0 0 L-3 * *", "days are not counted from the end of a month: write L for its last day"),
        ("0 0 15W * *", "write LW for the last one of a month"),
        ("0 0 L/2 * *", "L, for the last day of a month, stands alone or in a list"),
        ("0 0 * * L", "write 6 for Saturdays, or 6L for the last Saturday"),
        ("0 0 * * MON#6", "5#2 is the second Friday of a month"),
        ("H * * * *", "minute 'H': H is Jenkins' own: write a number of your choice, 3 for example"),
        ("0 H(0-7)/2 * * *", "hour 'H.*H is Jenkins' own"),
        ("0 0 * * H", "day of week 'H': H is Jenkins' own"),
        ("CRON_TZ=Europe/Berlin 0 1 * * *", r"expression '0 1 \* \* \*', and 'Europe/Berlin' as its timezone"),
        ("TZ=Asia/Tokyo @daily", r"expression '@daily', and 'Asia/Tokyo' as its timezone"),
        ("@every 5m", r"an Every, for example of 5 minutes"),
        ("@reboot", "or one of @hourly, @daily, .*@annually"),
        ("0 0 12 * * ? 2030", "no year field, but until= says where a series ends"),
        ("*/90 * * * *", r"minute '\*/90': the step is larger than the range.*take an Every"),
        ("0 */36 * * *", "hour .*the step is larger"),
        ("0 0 */32 * *", "day of month .*the step is larger"),
        ("0 0 1 */13 *", "month .*the step is larger"),
        ("0 0 * * */8", "day of week .*the step is larger"),
        ("*/61 * * * * *", "second .*the step is larger"),
        ("0-10/15 * * * *", "minute .*the step is larger"),
        ("22-2/6 * * * *", None),
        ("0 22-2/6 * * *", "hour .*the step is larger"),
        ("5/61 * * * *", "minute .*the step is larger"),
        ("*/0 * * * *", r"minute '\*/0': a number from 0 to 59 is expected"),
        ("61 * * * *", "minute '61': a number from 0 to 59 is expected"),
        ("0 0 * foo *", "month 'FOO': a number from 1 to 12 or a name such as FEB"),
        ("0 0 * * su", "day of week 'SU': a number from 0 to 7 or a name such as MON"),
        ("0 0 ?/2 * *", "day of month .*: . stands alone, and means"),
        ("0 0 31 2 *", "no such day ever comes"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_says_what_to_write(written: str, hint: str | None) -> None:
    if hint is None:
        Cron(written)
        return
    with pytest.raises(duly.InvalidArgument, match=hint):
        Cron(written)


# --- what earlier versions have stored


def stored(expression: str) -> Message:
    """What is read of a record with this very text."""
    record = to_record(Message("x", scheduled_at=AT, recurrence=Cron("* * * * *")))
    text = (record.recurrence or "").replace("* * * * *", expression)
    return from_record(record._replace(recurrence=text), State.SCHEDULED)


@pytest.mark.parametrize(
    ("expression", "kept"),
    [
        ("*/90 * * * *", "*/60 * * * *"),
        ("0 */36 * * *", "0 */24 * * *"),
        ("0-10/15 * * * *", "0 * * * *"),
        ("0 0 L/2 * *", "0 0 L * *"),
        ("0 0 * * */9", "0 0 * * */7"),
    ],
)
def test_what_is_refused_today_and_was_stored_before_goes_on(expression: str, kept: str) -> None:
    recurrence = stored(expression).recurrence
    assert isinstance(recurrence, Cron)
    assert recurrence.expression == kept
    assert Cron(kept).expression == kept  # also for a message that is stored again
    after = datetime(2030, 1, 1, tzinfo=UTC)
    plain = CronSim(expression, after)
    for _ in range(5):
        fire = next(plain)
        assert recurrence.following(after) == fire
        after = fire


TERMS = st.text(alphabet="0123456789*/-LW#MONSATJAUG", min_size=1, max_size=6)
NUMBERS = st.integers(0, 70).map(str)
PLAIN = st.one_of(
    st.just("*"),
    NUMBERS,
    st.builds("{}-{}".format, NUMBERS, NUMBERS),
    st.builds("*/{}".format, NUMBERS),
    st.builds("{}/{}".format, NUMBERS, NUMBERS),
    st.builds("{}-{}/{}".format, NUMBERS, NUMBERS, NUMBERS),
    TERMS,
)


@given(st.integers(0, 5), st.lists(PLAIN, min_size=1, max_size=3).map(",".join))
@settings(max_examples=300)
def test_whatever_cronsim_takes_can_be_read(place: int, field: str) -> None:
    fields = ["0", "0", "0", "*", "*", "*"]
    fields[place] = field
    expression = " ".join(fields)
    start = datetime(2030, 1, 1, tzinfo=UTC)
    try:
        plain = CronSim(expression, start)
    except (CronSimError, ValueError):
        return
    recurrence = stored(expression).recurrence
    assert isinstance(recurrence, Cron)
    if any(
        part.split("-")[0] == part.partition("-")[2].partition("/")[0] for part in field.split(",")
    ):
        return  # a range of one with a step, which cronsim takes for a longer one  # fmt: skip
    for _ in range(5):
        fire = next(plain, None)
        assert recurrence.following(start) == fire
        if fire is None:
            break
        start = fire


# --- against what the rules say in so many words


@attrs.frozen
class Field:
    """A field as written, and the numbers it means."""

    text: str
    numbers: frozenset[int]


class Kind(NamedTuple):
    first: int
    last: int
    names: str = ""

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    def shown(self, number: int) -> st.SearchStrategy[str]:
        names = self.names.split()
        if not names:
            return st.just(str(number))
        name = names[number - self.first]
        return st.sampled_from([str(number), name, name[:3].upper()])


SECOND, MINUTES, HOUR = Kind(0, 59), Kind(0, 59), Kind(0, 23)
DAY_OF_MONTH = Kind(1, 31)
MONTH = Kind(
    1,
    12,
    "January February March April May June July August September October November December",
)
WEEKDAY = Kind(0, 6, "Sunday Monday Tuesday Wednesday Thursday Friday Saturday")


@st.composite
def term(draw: st.DrawFn, kind: Kind) -> Field:
    first = draw(st.integers(kind.first, kind.last))
    shape = draw(st.sampled_from(["one", "range", "range", "range/", "*/", "from/"]))
    text = draw(kind.shown(first))
    if shape == "one":
        return Field(text, frozenset([first]))
    if shape in ("*/", "from/"):
        step = draw(st.integers(1, kind.size))
        start = first if shape == "from/" else kind.first
        text = f"{text}/{step}" if shape == "from/" else f"*/{step}"
        found = set(range(start, kind.last + 1, step))
        if kind is WEEKDAY and shape == "from/" and (7 - start) % step == 0:
            found.add(0)  # Sunday is 7 as well
        return Field(text, frozenset(found))
    count = draw(st.integers(1, kind.size))
    last = kind.first + (first - kind.first + count - 1) % kind.size
    text += "-" + draw(kind.shown(last))
    step = draw(st.integers(1, count)) if shape == "range/" else 1
    numbers = range(first, first + count, step)
    return Field(
        text + (f"/{step}" if shape == "range/" else ""),
        frozenset(kind.first + (number - kind.first) % kind.size for number in numbers),
    )


def field(kind: Kind) -> st.SearchStrategy[Field]:
    everything = Field("*", frozenset(range(kind.first, kind.last + 1)))
    several = st.lists(term(kind), min_size=1, max_size=2).map(
        lambda terms: Field(
            ",".join(each.text for each in terms),
            frozenset().union(*(each.numbers for each in terms)),
        )
    )
    return st.sampled_from([everything, attrs.evolve(everything, text="?")]) | several


def few(kind: Kind) -> st.SearchStrategy[Field]:
    return term(kind).filter(lambda each: len(each.numbers) <= 4)


def by_the_rules(fields: list[Field], name: str, start: datetime, end: datetime) -> list[datetime]:
    """What fires from ``start`` to ``end`` when that is an expression of six fields."""
    second, minute, hour, day_of_month, month, weekday = fields
    where, found = zone(name), set()
    starred = [each.text.startswith(("*", "?")) for each in fields]
    fixed = len(second.numbers) == 1 and not starred[1] and not starred[2]
    for number in range((end - start).days + 3):
        day = start.date() + (number - 1) * DAY
        by_date, by_name = day.day in day_of_month.numbers, day.isoweekday() % 7 in weekday.numbers
        matches = by_date and by_name if starred[3] or starred[5] else by_date or by_name
        if not matches or day.month not in month.numbers:
            continue
        for parts in product(hour.numbers, minute.numbers, second.numbers):
            wall = datetime.combine(day, time(*parts))
            if fixed:
                while not moments(wall, where):
                    wall += MINUTE  # it is in the gap
                found.add(moments(wall, where)[0])
            else:
                found.update(moments(wall, where))
    return sorted(moment for moment in found if start <= moment <= end)


def moments(wall: datetime, where) -> list[datetime]:  # type: ignore[no-untyped-def]  # a tzinfo
    """When clocks show this: at no moment, at one, or at two."""
    both = {wall.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return sorted(each for each in both if each.astimezone(where).replace(tzinfo=None) == wall)


PLACES = {**CHANGES, "Europe/Berlin": [date(2026, 3, 29), date(2026, 10, 25)],
          "Asia/Beirut": [date(2026, 3, 29), date(2026, 10, 24)]}  # fmt: skip  # at midnight
nights = st.sampled_from([(name, day) for name, days in PLACES.items() for day in days])


def any_of(kind: Kind) -> st.SearchStrategy[Field]:
    return field(kind) | st.just(Field("*", frozenset(range(kind.first, kind.last + 1))))


written = st.tuples(
    st.none() | few(SECOND),
    few(MINUTES),
    field(HOUR),
    any_of(DAY_OF_MONTH),
    any_of(MONTH),
    any_of(WEEKDAY),
)


@given(nights, written, st.integers(0, 24 * 60))
@settings(max_examples=150)
def test_a_written_expression_fires_as_the_rules_say_around_a_change_of_clocks(
    night: tuple[str, date], fields: tuple[Field | None, ...], offset: int
) -> None:
    name, day = night
    try:
        cron = Cron(" ".join(each.text for each in fields if each), timezone=name)
    except duly.InvalidArgument as error:
        assert "no such day ever comes" in str(error)  # noqa: PT017  # all else was well written
        return
    assert Cron(cron.expression, timezone=name) == cron
    start = datetime.combine(day, time(), UTC) - DAY + offset * MINUTE
    six = [each or Field("0", frozenset([0])) for each in fields]
    assert fires(cron, start, start + DAY) == by_the_rules(six, name, start, start + DAY)
