"""Odd values for every argument of the public API, and calls to give them to."""

import array
import contextlib
import decimal
import enum
import functools
import random
import sys
from collections import UserDict
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any

import duly
import duly.local
import duly.record
import duly.sync
import duly.template
import duly.url
from duly_sqlite import SQLiteStore

MOMENT = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Hostile:
    """Fails whatever is asked of it."""

    def _fail(self, *_: object) -> Any:
        raise ZeroDivisionError("hostile")

    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = _fail  # type: ignore[assignment]  # as hostile as can be
    __lt__ = __le__ = __gt__ = __ge__ = __add__ = __radd__ = __rsub__ = __mul__ = __rmul__ = _fail
    __int__ = __index__ = __float__ = __bytes__ = __iter__ = __getitem__ = __fspath__ = _fail


class HostileText(str):
    """A text that fails whatever is asked of it."""

    __slots__ = ()
    __repr__ = __str__ = __eq__ = __hash__ = __len__ = Hostile._fail  # type: ignore[assignment]  # as hostile as can be
    encode = split = lower = isprintable = partition = startswith = Hostile._fail  # type: ignore[assignment]  # as hostile as can be


class HostileNumber(int):
    """As well a number."""

    __repr__ = __eq__ = __hash__ = __lt__ = __le__ = __gt__ = __ge__ = Hostile._fail  # type: ignore[assignment]  # as hostile as can be
    __int__ = __index__ = __bool__ = __add__ = Hostile._fail  # type: ignore[assignment]  # as hostile as can be


class HostileMoment(datetime):
    """As well a moment."""

    __repr__ = __eq__ = __hash__ = __lt__ = __le__ = __gt__ = __ge__ = Hostile._fail  # type: ignore[assignment]  # as hostile as can be
    utcoffset = astimezone = isoformat = replace = Hostile._fail  # type: ignore[assignment]  # as hostile as can be


class HostileDuration(timedelta):
    """As well a duration."""

    __repr__ = __eq__ = __hash__ = __lt__ = __le__ = __gt__ = __ge__ = Hostile._fail  # type: ignore[assignment]  # as hostile as can be
    days = seconds = microseconds = property(Hostile._fail)  # type: ignore[assignment]  # as hostile as can be


class HostileMapping(UserDict[str, str]):
    """As well a mapping."""

    __repr__ = __len__ = __iter__ = __getitem__ = Hostile._fail  # type: ignore[assignment]  # as hostile as can be


class Zone(tzinfo):
    """A time zone with an answer of its own."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def utcoffset(self, moment: datetime | None) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    dst = tzname = utcoffset


class Name(enum.StrEnum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


def deep(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def released() -> memoryview:
    view = memoryview(b"a")
    view.release()
    return view


TEXTS = [
    "", "a", "a" * 255, "a" * 256, "b" * 100_000, "\ud800", "a\udfffb", "a\0b", "\n", "é", "e\u0301",
    "\U0001f600", "duly.unreadable", "once", "all", "UTC", "Europe/Berlin", "localtime", "../etc/passwd",
    "memory://", "memory://host", "local://", "sqlite://", "sqlite:///", "sqlite:////no/such/file.db",
    "redis+sentinel://", "x://[::1", "x://a:99999", f"x://h:{'9' * 5000}", "http://u:p@h/p?a=b&a=c", "x://h?a",
    "://", "%", "%zz", "{event_name}", "{", "}", "{event_name!r}", "{0}", "{event_name.__class__}",
    "* * * * *", "0 0 30 2 *", "*/0 * * * *", "99 * * * *", "* * * * * *", "@daily", "1-0 * * * *",
    "0 0 1 1 *", "9" * 5000, "-1", "nan", "inf", "1e999", "true", Name.A, HostileText("a"), HostileText("once"),
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 2, 500, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 10**5000, -(10**5000),
    True, False, Number.ONE, HostileNumber(5), HostileNumber(10**5000), 0.0, 0.5, 1.0, 1.5, -0.0, 1e308, 1e-320,
    float("nan"), float("inf"), -float("inf"), decimal.Decimal("1.5"), decimal.Decimal("sNaN"), 1j,
]  # fmt: skip
MOMENTS = [
    MOMENT, MOMENT.replace(tzinfo=None), datetime.max, datetime.min, date(2030, 1, 1),
    *(
        moment.replace(tzinfo=timezone(timedelta(hours=hours)))
        for moment in (datetime.max, datetime.min, datetime(1, 1, 1), MOMENT)
        for hours in (-23, 0, 23)
    ),
    *(
        MOMENT.replace(tzinfo=Zone(answer))
        for answer in (None, HOUR, "no", timedelta(days=1), -timedelta(days=2), ZeroDivisionError(), OverflowError())
    ),
    HostileMoment(2030, 1, 1, tzinfo=UTC),
]  # fmt: skip
DURATIONS = [
    HOUR, timedelta(0), -HOUR, timedelta.max, timedelta.min, timedelta(microseconds=1),
    timedelta(milliseconds=1), timedelta(days=36_526), HostileDuration(hours=1),
]  # fmt: skip
OTHERS = [
    None, b"", b"a", bytearray(b"a"), memoryview(b"abcd")[::2], released(), array.array("I", [1]),
    [], (), {}, set(), [1], {"a": "b"}, {"a": 1}, {1: "a"}, {"a": "\0"}, {"\ud800": "a"}, {"a": "b" * 70_000}, {"a": HostileText("b")}, HostileMapping(), deep(10), deep(sys.getrecursionlimit() * 2),
    object(), Hostile(), int, Hostile, print, len, lambda: None, lambda one: None, range(3), iter([]), ...,
    duly.State.DEAD, duly.Every(HOUR), duly.Cron("0 * * * *"), duly.Filter(), duly.Message("e", scheduled_at=MOMENT),
    duly.MemoryStore(), duly.LocalTransport(), ValueError("a"), NotImplemented,
]  # fmt: skip
VALUES: list[Any] = [*TEXTS, *NUMBERS, *MOMENTS, *DURATIONS, *OTHERS]

Call = Callable[..., Any]


class Fuzzer:
    """Draws a call and its arguments, most of them right, from one seed."""

    def __init__(self, folder: Path) -> None:
        self._url = f"sqlite:///{folder}/fuzz.db"
        self.clients: Sequence[duly.Client] = []
        message: dict[str, Any] = {
            "event_name": "e", "payload": b"a", "scheduled_at": MOMENT, "id": "a", "metadata": {"a": "b"},
            "recurrence": None, "expires_at": None, "created_at": MOMENT,
        }  # fmt: skip
        series: dict[str, Any] = {
            "max_occurrences": 3,
            "until": MOMENT,
            "missed": "once",
            "grace": HOUR,
        }
        client: dict[str, Any] = {
            "store": "memory://", "max_payload": 10, "store_timeout": HOUR, "plugins": (), "load_plugins": False,
        }  # fmt: skip
        scheduler: dict[str, Any] = {
            **client, "transport": print, "poll_interval": HOUR, "batch_size": 5, "stuck_duration": HOUR,
            "max_in_flight": 5, "publish_timeout": HOUR, "recovery": None,
        }  # fmt: skip
        self.calls: list[tuple[str, Call, dict[str, Any]]] = [
            ("Message", self._message, message),
            ("Every", duly.Every, {"interval": HOUR, **series}),
            ("Cron", duly.Cron, {"expression": "0 * * * *", "timezone": "UTC", **series}),
            ("Filter", duly.Filter, {"event_name": "e", "before": MOMENT, "after": MOMENT, "state": None, "limit": 1, "offset": 0}),
            ("Backoff", duly.Backoff, {"initial": HOUR, "multiplier": 2, "maximum": HOUR, "jitter": 0.5, "max_retries": 3, "max_lapses": 3}),
            ("Backoff.delay", duly.Backoff(multiplier=1.0000001).delay, {"retries": 3}),
            ("Retry", duly.Retry, {"after": HOUR}),
            ("Bury", duly.Bury, {"reason": "a"}),
            ("after", duly.after, {"hours": 1, "days": 0}),
            ("Client", duly.Client, client),
            ("Scheduler", duly.Scheduler, scheduler),
            ("sync.Client", duly.sync.Client, client),
            ("sync.Scheduler", duly.sync.Scheduler, scheduler),
            ("LocalTransport.on", lambda **some: duly.LocalTransport().on(some["event_name"])(some["function"]),
             {"event_name": "a", "function": print}),
            ("SQLiteStore", SQLiteStore, {"path": "a.db"}),
            ("url.parse", duly.url.parse, {"text": "redis://localhost:1/2?a=b"}),
            ("url.scheme_of", duly.url.scheme_of, {"text": "redis://localhost:1/2?a=b"}),
            ("url.as_hosts", duly.url.as_hosts, {"values": [("a", 1)]}),
            ("url.as_hosts of pairs", lambda **some: duly.url.as_hosts([(some["name"], some["port"])]), {"name": "a", "port": 1}),
            ("Template", functools.partial(duly.template.Template, option="topic"), {"text": "{event_name}"}),
            ("Event", duly.Event, {"name": "e", "type": dict, "id": "{a}", "codec": None}),
            ("Event.message", self._of_event, {"kind": dict, "payload": {"a": 1}, "metadata": {"a": "b"}, "id": None}),
            ("Event.id", duly.Event("e", dict, id="{a}").id, {"a": 1}),
            ("Event.read", duly.Event("e", int).read, {"of": duly.Message("e", b"1", scheduled_at=MOMENT)}),
            ("from_record", self._from_record, dict.fromkeys(map(str, range(len(self._record())))), ),
        ]  # fmt: skip
        self.verbs: list[tuple[str, dict[str, Any]]] = [
            ("schedule", {"message": self._fresh, "replace": False, "within": None}),
            (
                "schedule_many",
                {"messages": self._several, "replace": True, "atomic": True, "within": None},
            ),
            ("cancel", {"message_id": "a", "missing_ok": True, "within": None}),
            ("cancel_many", {"filter": duly.Filter(event_name="e")}),
            ("purge", {"filter": duly.Filter()}),
            ("reschedule", {"message_id": "a", "scheduled_at": MOMENT, "within": None}),
            ("replay", {"message_id": "a", "at": None}),
            ("get", {"message_id": "a"}),
            ("list", {"filter": duly.Filter(limit=1)}),
            ("migrate", {"dry_run": True}),
        ]

    async def once(self, seed: int) -> None:
        """Make the call of a seed.

        Raises:
            AssertionError: it raised what is no error of duly's.
        """
        draw = random.Random(seed)
        if draw.random() < 0.5:
            name, call, usual = draw.choice(self.calls)
        else:
            client = draw.choice(self.clients)
            name, usual = draw.choice(self.verbs)
            call = getattr(client, name)
        given = {
            key: value() if value in (self._fresh, self._several) else value
            for key, value in usual.items()
        }
        odd = {
            key: draw.choice(VALUES)
            for key in draw.sample(list(given), min(len(given), draw.choice([1, 1, 2, 3])))
        }
        if type(odd.get("messages")).__name__.startswith(("Hostile", "memoryview")):
            return  # what the caller's own iterable raises is the caller's
        try:
            outcome = call(**given | odd)
            if isinstance(outcome, Awaitable):
                await outcome
        except duly.DulyError as error:
            if not str(error):
                raise AssertionError(f"seed {seed}: {name} says nothing") from error
        except Exception as error:
            shown = {key: _shown(value) for key, value in odd.items()}
            raise AssertionError(
                f"seed {seed}: {name} with {shown} raised {type(error)}"
            ) from error

    @staticmethod
    def _fresh() -> duly.Message:
        return duly.Message("e", b"a", scheduled_at=duly.after(hours=1))

    def _several(self) -> list[duly.Message]:
        return [self._fresh(), self._fresh()]

    @staticmethod
    def _message(**some: Any) -> None:
        message = duly.Message(**some)
        hash(message)
        repr(message)
        duly.record.from_record(duly.record.to_record(message), message.state)

    @staticmethod
    def _of_event(*, kind: Any, payload: Any, **some: Any) -> None:
        event = duly.Event[Any]("e", kind)
        event.read(event.message(payload, scheduled_at=MOMENT, **some))

    @staticmethod
    def _record() -> duly.record.Record:
        return duly.record.to_record(
            duly.Message("e", scheduled_at=MOMENT, recurrence=duly.Every(HOUR))
        )

    def _from_record(self, **some: Any) -> None:
        """A store's driver gives odd values, and none that is hostile."""
        fields: list[Any] = list(self._record())
        for place, value in some.items():
            plain = type(value) in (str, bytes, int, float, bool, list, bytearray)
            if value is not None and plain:
                fields[int(place)] = value
        with contextlib.suppress(duly.record.UnreadableRecord):
            duly.record.from_record(fields, duly.State.SCHEDULED).scheduled_at.isoformat()


def _shown(value: object) -> str:
    try:
        return f"{value!r:.80}"
    except Exception:
        return f"a {type(value).__name__}"
