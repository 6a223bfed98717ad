"""When again: the two kinds of recurrence, anchored to the schedule, never to the delivery."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

import attrs

from duly._values.copying import Growing
from duly._values.cron_fires import fires
from duly._values.cron_text import cron_text
from duly._values.jitter import jittered
from duly._values.plain import shown, text_of, whole
from duly._values.zones import zone
from duly.errors import InvalidArgument
from duly.moment import as_duration, as_moment

__all__ = ["MOST_COUNTED", "Cron", "Every", "Missed", "Recurrence"]

Missed = Literal["once", "all", "skip"]
"""What becomes of fires that were missed: the latest is delivered, each is, or none is."""

MOST_COUNTED: Final = 100
"""Fires of a cron expression that are counted at most, one by one."""

_TICK: Final = timedelta(microseconds=1)
_NONE: Final = timedelta(0)
_BEGIN: Final = datetime(1900, 1, 1, tzinfo=UTC)  # no clock was put before
_ONE_SECOND: Final = timedelta(seconds=1)  # the least between two fires of a cron expression
_ONE_MINUTE: Final = timedelta(minutes=1)
_FIRST_WINDOW: Final = timedelta(minutes=2)


def _count(value: int | None) -> int | None:
    count = whole(value)
    if value is not None and (count is None or not 1 <= count < 2**63):
        raise InvalidArgument("max_occurrences must be a whole number from 1 to 2**63 - 1, or None")
    return count


def _until(value: datetime | None) -> datetime | None:
    return None if value is None else as_moment(value, "until")


def _missed(value: Missed) -> Missed:
    for each in get_args(Missed):
        if text_of(value) == each:
            return each  # type: ignore[no-any-return]  # one of the texts
    raise InvalidArgument(f'missed must be "once", "all" or "skip", not {shown(value)}')


def _grace(value: timedelta) -> timedelta:
    return as_duration(value, "grace", at_least=timedelta(0), at_most=timedelta.max)


def _jitter(value: timedelta) -> timedelta:
    return as_duration(value, "jitter", at_least=timedelta(0), at_most=timedelta(days=1))


@attrs.frozen(kw_only=True)
class Recurrence(Growing, ABC):
    """What :class:`Every` and :class:`Cron` share.

    ``max_occurrences`` counts the fires that were taken up (delivered, buried, discarded), from
    1; ``until`` is the last moment that may still fire; a fire whose first claim is more than
    ``grace`` late is missed, and ``missed`` says what becomes of those. A ``grace`` below what a
    claim takes (a second, and the time that the last two took to be answered) counts as that, so
    that no series is missed for good although its scheduler runs.

    With ``jitter``, at most a day, each fire is due up to that much later, so that many series of
    one rule do not fire together: how much is worked out from the id of the message and the fire
    (:meth:`due`), the same on every host. ``scheduled_at``, ``until`` and delivery ids know the
    fires alone; lateness and ``grace`` count from when they are due.
    """

    max_occurrences: int | None = attrs.field(default=None, converter=_count)
    until: datetime | None = attrs.field(default=None, converter=_until)
    missed: Missed = attrs.field(default="once", converter=_missed)
    grace: timedelta = attrs.field(default=_ONE_MINUTE, converter=_grace)
    jitter: timedelta = attrs.field(default=_NONE, converter=_jitter)

    def due(self, id: str, fire: datetime) -> datetime:
        """When a fire of the message of that id is due: at ``fire``, or by jitter a while later."""
        return jittered(id, fire, self.jitter) if self.jitter else fire

    @abstractmethod
    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """The first fire of a message scheduled like this; None when it can never fire."""

    @abstractmethod
    def _next(self, moment: datetime) -> datetime | None:
        """The first fire after ``moment``, a fire itself, ``until`` aside."""

    def count(self, fire: datetime, last: datetime) -> int:
        """How many fires there are from ``fire`` to ``last``, both fires of the series.

        No more than :data:`MOST_COUNTED` are counted one by one.
        """
        number, moment = 1, self._next(fire)
        while moment is not None and moment <= last and number < MOST_COUNTED:
            number, moment = number + 1, self._next(moment)
        return number

    @abstractmethod
    def _last(self, fire: datetime, bound: datetime) -> datetime:
        """The last fire at or before ``bound``, counting from ``fire``; at least ``fire``."""

    def following(self, fire: datetime) -> datetime | None:
        """The fire after ``fire``; None when the series ends with it."""
        return self._within(self._next(fire))

    def latest(self, fire: datetime, bound: datetime) -> datetime:
        """The last fire of the series that is not after ``bound``; at least ``fire``."""
        if self.until is not None:
            bound = min(bound, self.until)
        return fire if bound <= fire else self._last(fire, bound)

    def latest_due(self, id: str, fire: datetime, bound: datetime) -> datetime:
        """The last fire of the series that is due, by jitter, at or before ``bound``.

        At least ``fire``.
        """
        last = self.latest(fire, bound)
        while self.jitter and last > fire and self.due(id, last) > bound:
            last = self.latest(fire, last - _TICK)
        return last

    def ends_after(self, occurrences: int) -> bool:
        """Whether a series of which so many fires were taken up has reached its end."""
        return self.max_occurrences is not None and occurrences >= self.max_occurrences

    def _within(self, fire: datetime | None) -> datetime | None:
        return None if fire is None or (self.until is not None and fire > self.until) else fire


def _interval(value: timedelta) -> timedelta:
    return as_duration(value, "interval", at_least=timedelta(milliseconds=1), at_most=timedelta.max)


@attrs.frozen
class Every(Recurrence):
    """Again every ``interval``, counted from ``scheduled_at`` or one interval after creation.

    ``Every(timedelta(hours=1))``: the n-th fire is n intervals after the first, however late any
    of them was delivered. At least one millisecond, and at least ``jitter``.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
    """

    interval: timedelta = attrs.field(converter=_interval, kw_only=False)

    def __attrs_post_init__(self) -> None:
        if self.jitter > self.interval:
            raise InvalidArgument(
                f"jitter must be at most the interval, {self.interval}, not {self.jitter}"
            )

    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """``scheduled_at`` itself, or one interval after ``created_at`` without it."""
        return self._within(self._next(created_at) if scheduled_at is None else scheduled_at)

    def _next(self, moment: datetime) -> datetime | None:
        try:
            return moment + self.interval
        except OverflowError:
            return None

    def count(self, fire: datetime, last: datetime) -> int:
        """How many fires there are from ``fire`` to ``last``, both fires of the series."""
        return (last - fire) // self.interval + 1

    def _last(self, fire: datetime, bound: datetime) -> datetime:
        return fire + (bound - fire) // self.interval * self.interval


def _timezone(value: str) -> str:
    name = text_of(value)
    if name is None:
        raise InvalidArgument(
            f"timezone must be an IANA name such as 'Europe/Berlin': {shown(value)}"
        )
    try:
        zone(name)
    except KeyError:
        raise InvalidArgument(
            f"timezone {shown(name)} is not known: use an IANA name such as 'Europe/Berlin'"
        ) from None
    return name


@attrs.frozen
class Cron(Recurrence):
    """Again whenever the clock of ``timezone`` matches a cron expression.

    Five fields: minute, hour, day of month, month, day of week (0 and 7 are Sunday); a sixth, in
    front, means seconds. ``@hourly`` to ``@yearly``, names, ``?`` and ranges that go round the end
    (``22-2``) are taken; ``expression`` then holds the fields in numbers, so that two spellings of
    one expression are equal.

    Debian's cron in all daylight-saving cases (by the library ``cronsim``): what has a fixed hour
    and minute, and one second if any, fires right after the gap it falls into, and once when its
    hour comes twice; with a ``*`` or ``*/n`` for the minute or hour, or with several seconds, it
    follows the clock on the wall through both.

    Raises:
        InvalidArgument: not a cron expression, an unknown time zone, or a bound of the wrong type.
    """

    expression: str = attrs.field(converter=cron_text, kw_only=False)
    timezone: str = attrs.field(default="UTC", converter=_timezone)

    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """The first match at or after ``scheduled_at``, or after now without it."""
        # A match is looked for strictly after the start.
        start = datetime.now(UTC) if scheduled_at is None else max(scheduled_at, _BEGIN) - _TICK
        return self._within(self._next(start))

    def _next(self, moment: datetime) -> datetime | None:
        return next(self._fires(moment), None)

    def count(self, fire: datetime, last: datetime) -> int:
        """How many fires there are from ``fire`` to ``last``, at most :data:`MOST_COUNTED`."""
        more = itertools.takewhile(lambda each: each <= last, self._fires(fire))
        return 1 + sum(1 for _ in itertools.islice(more, MOST_COUNTED - 1))

    def _last(self, fire: datetime, bound: datetime) -> datetime:
        # Looks back in windows that double, then halves what is left: however many fires were
        # missed, few are looked at. ``low`` is a fire, and between ``high`` and the bound is none.
        low, high, window = fire, bound, _FIRST_WINDOW
        while low == fire and window < bound - fire:
            low, high = self._narrowed(low, high, bound - window, bound)
            window *= 2
        while high - low >= _ONE_SECOND:
            low, high = self._narrowed(low, high, low + (high - low) // 2, bound)
        if low == fire:  # one that was moved is no match, and one may follow within the second
            low, _ = self._narrowed(low, high, fire, bound)
        return low

    def _narrowed(
        self, low: datetime, high: datetime, start: datetime, bound: datetime
    ) -> tuple[datetime, datetime]:
        found = self._next(start)
        return (low, start) if found is None or found > bound else (found, high)

    def _fires(self, moment: datetime) -> Iterator[datetime]:
        """Every match after ``moment``, in UTC, earliest first."""
        return fires(self.expression, zone(self.timezone), moment)
