"""What callers give becomes plain at the door: subclasses, other libraries' moments, odd texts."""

import enum
import sys
from collections import UserDict
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from types import MappingProxyType

import pytest

import duly
from duly import Cron, Every, Filter, InvalidArgument, InvalidMessage, Message
from duly.moment import as_duration, as_moment

MOMENT = datetime(2030, 5, 17, 12, 30, 15, 123456, UTC)
HOUR = timedelta(hours=1)


class Fancy(datetime):
    """As pendulum's and pandas' are: arithmetic of their own, and more than a datetime has."""

    def _refuse(self, *_):
        raise AttributeError("a plain timedelta has no _to_microseconds")

    __add__ = __radd__ = __sub__ = __rsub__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    astimezone = replace = isoformat = timestamp = _refuse  # type: ignore[assignment]  # to see who asks


class Moments(datetime):
    """A datetime that is none, as pandas' NaT is."""

    def utcoffset(self):
        raise ValueError("NaTType does not support utcoffset")


class Length(timedelta):
    """As pendulum's durations are."""

    def _refuse(self, *_):
        raise AttributeError("a plain timedelta has no _to_microseconds")

    __add__ = __radd__ = __mul__ = __floordiv__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse


class Zone(tzinfo):
    """A time zone that answers what it was told to."""

    def __init__(self, answer):
        self.answer = answer

    def utcoffset(self, moment):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    dst = tzname = utcoffset


class Name(enum.StrEnum):
    CREATED = "created"
    ONCE = "once"


class Number(enum.IntEnum):
    TWO = 2


class Odd(str):
    """A text that says it is another."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"

    def __len__(self) -> int:
        return 1

    def encode(self, *_) -> bytes:
        return b""


def is_plain(value: object, expected: object) -> bool:
    return type(value) is type(expected) and value == expected


class TestMoments:
    @pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-3.5))], ids=str)
    def test_one_of_a_subclass_becomes_plain_everywhere(self, zone):
        shown = MOMENT.astimezone(zone)
        fancy = Fancy.combine(shown.date(), shown.time(), zone)
        end = Fancy(2031, 1, 1, tzinfo=zone)
        message = Message("e", scheduled_at=fancy, expires_at=end, created_at=fancy)
        assert is_plain(message.scheduled_at, MOMENT)
        assert is_plain(message.created_at, MOMENT)
        assert type(message.expires_at) is datetime
        assert type(message.next_attempt_at) is datetime
        for recurrence in (Every(HOUR, until=end), Cron("0 * * * *", until=end)):
            recurring = Message("e", scheduled_at=fancy, recurrence=recurrence)
            assert type(recurring.scheduled_at) is type(recurrence.until) is datetime
            assert type(recurrence.following(recurring.scheduled_at)) is datetime
        found = Filter(before=fancy, after=fancy)
        assert is_plain(found.before, MOMENT)
        assert is_plain(found.after, MOMENT)

    @pytest.mark.parametrize("url", ["memory://", "sqlite:///"], ids=str)
    async def test_verbs_take_it(self, tmp_path, url):
        fancy = Fancy(2030, 1, 1, tzinfo=UTC)
        url = url if url == "memory://" else f"{url}/{tmp_path}/a.db"
        async with duly.Client(url, load_plugins=["sqlite"]) as client:
            await client.schedule(Message("e", id="a", scheduled_at=fancy))
            await client.reschedule("a", Fancy(2030, 1, 2, tzinfo=UTC))
            (found,) = await client.list(Filter(after=fancy))
            assert is_plain(found.scheduled_at, datetime(2030, 1, 2, tzinfo=UTC))

    @pytest.mark.parametrize(
        "value",
        [
            Moments(2030, 1, 1),
            datetime(2030, 1, 1, tzinfo=Zone(KeyError("no rules"))),
            datetime(2030, 1, 1, tzinfo=Zone("an hour")),
            datetime(2030, 1, 1, tzinfo=Zone(timedelta(days=2))),
        ],
        ids=["no moment", "fails", "no duration", "two days"],
    )
    def test_what_tells_no_moment_is_refused(self, value):
        with pytest.raises(InvalidMessage, match="scheduled_at tells no moment"):
            Message("e", scheduled_at=value)
        with pytest.raises(InvalidArgument, match="until tells no moment"):
            Every(HOUR, until=value)

    def test_a_zone_without_an_answer_is_naive(self):
        with pytest.raises(InvalidArgument, match="naive"):
            as_moment(datetime(2030, 1, 1, tzinfo=Zone(None)), "at")

    @pytest.mark.parametrize("value", [datetime.max, datetime.min])
    def test_the_ends_of_the_calendar(self, value):
        for hours in (-14, 0, 14):
            moment = value.replace(tzinfo=timezone(timedelta(hours=hours)))
            if hours == 0 or (hours > 0) is (value is datetime.max):
                assert as_moment(moment, "at") == moment
            else:
                with pytest.raises(InvalidArgument, match="out of range in UTC"):
                    as_moment(moment, "at")

    def test_both_halves_of_an_hour_that_comes_twice(self):
        berlin = duly._values.zones.zone("Europe/Berlin")
        for kind in (datetime, Fancy):
            first, second = (
                as_moment(kind(2030, 10, 27, 2, 30, fold=fold, tzinfo=berlin), "at")
                for fold in (0, 1)
            )
            assert second - first == HOUR

    def test_pendulum(self):
        pendulum = pytest.importorskip("pendulum")
        start = pendulum.datetime(2030, 1, 1, tz="Europe/Paris")
        message = Message("e", scheduled_at=start, recurrence=Every(pendulum.duration(hours=1)))
        assert is_plain(message.scheduled_at, datetime(2029, 12, 31, 23, tzinfo=UTC))
        assert is_plain(message.recurrence.interval, HOUR)
        assert Cron("0 0 * * *", timezone="Europe/Paris", until=start).until == start

    def test_pandas(self):
        pandas = pytest.importorskip("pandas")
        stamp = pandas.Timestamp("2030-05-17T12:30:15.123456789Z")
        assert is_plain(Message("e", scheduled_at=stamp).scheduled_at, MOMENT)
        assert is_plain(Every(pandas.Timedelta("1h")).interval, HOUR)
        for verb in (
            lambda: Message("e", scheduled_at=pandas.NaT),
            lambda: Message("e", scheduled_at=MOMENT, expires_at=pandas.NaT),
            lambda: Every(HOUR, until=pandas.NaT),
            lambda: Every(pandas.NaT),
        ):
            with pytest.raises(InvalidArgument):
                verb()


class TestDurations:
    def test_one_of_a_subclass_becomes_plain(self):
        length = Length(days=1, seconds=-1, microseconds=7)
        assert is_plain(as_duration(length, "length"), timedelta(1, -1, 7))
        assert is_plain(Every(length, grace=length).interval, timedelta(1, -1, 7))
        assert is_plain(duly.Retry(length).after, timedelta(1, -1, 7))
        assert is_plain(duly.Backoff(maximum=length).maximum, timedelta(1, -1, 7))

    def test_what_tells_no_duration_is_refused(self):
        class Broken(timedelta):
            @property
            def days(self):
                raise KeyError("lost")

        with pytest.raises(InvalidArgument, match="interval is not a duration"):
            Every(Broken(days=1))


class TestTexts:
    def test_members_of_an_enum_become_their_texts(self):
        message = Message(
            Name.CREATED, id=Name.ONCE, scheduled_at=MOMENT, metadata={Name.ONCE: Name.CREATED}
        )
        assert is_plain(message.event_name, "created")
        assert is_plain(message.id, "once")
        ((key, value),) = message.metadata.items()
        assert is_plain(key, "once")
        assert is_plain(value, "created")
        assert is_plain(Filter(event_name=Name.CREATED).event_name, "created")
        assert is_plain(Every(HOUR, missed=Name.ONCE).missed, "once")

    def test_what_a_text_says_of_itself_is_not_asked(self):
        message = Message(Odd("event"), id=Odd("b" * 255), scheduled_at=MOMENT)
        assert (message.event_name, message.id) == ("event", "b" * 255)
        with pytest.raises(InvalidMessage, match="256"):
            Message(Odd("a" * 256), scheduled_at=MOMENT)
        with pytest.raises(InvalidMessage, match="metadata takes"):
            Message("e", scheduled_at=MOMENT, metadata={"a": Odd("b" * 70_000)})

    def test_numbers_of_a_subclass_become_plain(self):
        found = Filter(limit=Number.TWO, offset=Number.TWO)
        assert is_plain(found.limit, 2)
        assert is_plain(found.offset, 2)
        assert is_plain(Every(HOUR, max_occurrences=Number.TWO).max_occurrences, 2)

    def test_metadata_that_cannot_be_read(self):
        class Broken(UserDict[str, str]):
            def keys(self):
                raise KeyError("lost")

        with pytest.raises(InvalidMessage, match="metadata cannot be read"):
            Message("e", scheduled_at=MOMENT, metadata=Broken())


class TestPayloads:
    @pytest.mark.parametrize(
        "value", [bytearray(b"ab"), memoryview(b"ab"), memoryview(b"aXbX")[::2]]
    )
    def test_what_is_like_bytes_becomes_bytes(self, value):
        assert is_plain(Message("e", value, scheduled_at=MOMENT).payload, b"ab")

    def test_bytes_that_say_they_are_others(self):
        class Other(bytes):
            def __bytes__(self):
                return b"other"

        assert is_plain(Message("e", Other(b"ab"), scheduled_at=MOMENT).payload, b"ab")

    def test_a_view_that_was_given_back(self):
        view = memoryview(b"ab")
        view.release()
        with pytest.raises(InvalidMessage, match="released"):
            Message("e", view, scheduled_at=MOMENT)


HUGE = 10**5000
DEEP: list[object] = []
for _ in range(sys.getrecursionlimit() * 2):
    DEEP = [DEEP]


class TestErrors:
    """A value that cannot be shown is refused in words all the same."""

    @pytest.mark.parametrize(
        "value", [HUGE, -HUGE, DEEP, float("nan")], ids=["huge", "negative", "deep", "nan"]
    )
    def test_what_can_hardly_be_shown(self, value):
        for verb in (
            lambda: Filter(limit=value),
            lambda: Filter(offset=value),
            lambda: Filter(state=value),
            lambda: Every(HOUR, max_occurrences=value),
            lambda: Every(HOUR, missed=value),
            lambda: Cron("0 * * * *", timezone=value),
            lambda: Message("e", scheduled_at=MOMENT, metadata={"a": value}),
            lambda: duly.Backoff(multiplier=value),
            lambda: duly.Backoff(jitter=value),
            lambda: duly.Client("memory://", max_payload=value),
            lambda: duly.Client("memory://", load_plugins=value),
            lambda: duly.LocalTransport().on(value),
            lambda: duly.after(hours=value),
        ):
            with pytest.raises(InvalidArgument) as caught:
                verb()
            assert len(str(caught.value)) < 1000

    @pytest.mark.parametrize("offset", [2**63, 2**64, HUGE], ids=["2**63", "2**64", "huge"])
    def test_more_than_a_store_can_count(self, offset):
        with pytest.raises(InvalidArgument, match="offset must be"):
            Filter(offset=offset)
        with pytest.raises(InvalidArgument, match="limit must be"):
            Filter(limit=offset)


def test_messages_can_be_hashed() -> None:
    message = Message(
        "e", b"a", id="a", scheduled_at=MOMENT, created_at=MOMENT, metadata={"a": "b"}
    )
    twin = Message("e", b"a", id="a", scheduled_at=MOMENT, created_at=MOMENT, metadata={"a": "b"})
    assert isinstance(message.metadata, MappingProxyType)
    assert {message: 1}[twin] == 1
    assert len({message, twin, Message("e", scheduled_at=MOMENT)}) == 2
