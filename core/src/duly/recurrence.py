"""When again: the two kinds of recurrence, anchored to the schedule, never to the delivery."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final, Literal, get_args

import attrs
from cronsim import CronSim, CronSimError

from duly._zones import next_change, zone
from duly.errors import InvalidArgument
from duly.moment import as_duration, as_moment

__all__ = ["Cron", "Every", "Missed", "Recurrence"]

Missed = Literal["once", "all", "skip"]
"""What becomes of fires that were missed: the latest is delivered, each is, or none is."""

_TICK: Final = timedelta(microseconds=1)
_BEGIN: Final = datetime(1900, 1, 1, tzinfo=UTC)  # no clock was put before
_ONE_SECOND: Final = timedelta(seconds=1)  # the least between two fires of a cron expression
_ONE_MINUTE: Final = timedelta(minutes=1)
_FIELDS: Final = (5, 6)  # of a cron expression
_FIRST_WINDOW: Final = timedelta(minutes=2)


def _count(_instance: object, _attribute: "attrs.Attribute[int | None]", value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**63:
        raise InvalidArgument("max_occurrences must be a whole number from 1 to 2**63 - 1, or None")


def _until(value: datetime | None) -> datetime | None:
    return None if value is None else as_moment(value, "until")


def _missed(_instance: object, _attribute: "attrs.Attribute[str]", value: object) -> None:
    if value not in get_args(Missed):
        raise InvalidArgument(f'missed must be "once", "all" or "skip", not {value!r}')


def _grace(value: timedelta) -> timedelta:
    return as_duration(value, "grace", at_least=timedelta(0), at_most=timedelta.max)


@attrs.frozen(kw_only=True)
class Recurrence(ABC):
    """What :class:`Every` and :class:`Cron` share.

    ``max_occurrences`` counts the fires that were taken up (delivered, buried, discarded), from
    1; ``until`` is the last moment that may still fire; a fire whose first claim is more than
    ``grace`` late is missed, and ``missed`` says what becomes of those.
    """

    max_occurrences: int | None = attrs.field(default=None, validator=_count)
    until: datetime | None = attrs.field(default=None, converter=_until)
    missed: Missed = attrs.field(default="once", validator=_missed)
    grace: timedelta = attrs.field(default=_ONE_MINUTE, converter=_grace)

    @abstractmethod
    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """The first fire of a message scheduled like this; None when it can never fire."""

    @abstractmethod
    def _next(self, moment: datetime) -> datetime | None:
        """The first fire after ``moment``, a fire itself, ``until`` aside."""

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
    of them was delivered. At least one millisecond.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
    """

    interval: timedelta = attrs.field(converter=_interval, kw_only=False)

    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """``scheduled_at`` itself, or one interval after ``created_at`` without it."""
        return self._within(self._next(created_at) if scheduled_at is None else scheduled_at)

    def _next(self, moment: datetime) -> datetime | None:
        try:
            return moment + self.interval
        except OverflowError:
            return None

    def _last(self, fire: datetime, bound: datetime) -> datetime:
        return fire + (bound - fire) // self.interval * self.interval


def _timezone(value: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"timezone must be an IANA name such as 'Europe/Berlin': {value!r}")
    try:
        zone(value)
    except KeyError:
        raise InvalidArgument(
            f"timezone {value!r} is not known: use an IANA name such as 'Europe/Berlin'"
        ) from None
    return value


def _expression(value: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(f"a cron expression is text, not {type(value).__name__}")
    text = " ".join(value.split())
    try:
        CronSim(text, datetime(2024, 1, 1, tzinfo=UTC))
    except (CronSimError, ValueError) as error:
        hint = (
            "a number is out of bounds, or no such day ever comes"
            if len(text.split()) in _FIELDS
            else "five fields are expected, minute hour day-of-month month day-of-week (a sixth, "
            "in front, means seconds)"
        )
        raise InvalidArgument(f"cron expression {value!r}: {error}; {hint}") from error
    return text


def _clock(moment: datetime, where: tzinfo) -> tuple[timedelta, datetime]:
    """How far the clocks of a zone are ahead of UTC, and what they show."""
    wall = moment.astimezone(where)
    return wall.utcoffset() or timedelta(0), wall.replace(tzinfo=None)


@attrs.frozen
class Cron(Recurrence):
    """Again whenever the clock of ``timezone`` matches a cron expression.

    Debian's cron in all daylight-saving cases (by the library ``cronsim``): what has a fixed hour
    and minute fires right after the gap it falls into, and once when its hour comes twice; with a
    ``*`` or ``*/n`` for the minute or hour, or with seconds, it follows the clock on the wall
    through both.

    Raises:
        InvalidArgument: not a cron expression, an unknown time zone, or a bound of the wrong type.
    """

    expression: str = attrs.field(converter=_expression, kw_only=False)
    timezone: str = attrs.field(default="UTC", converter=_timezone)

    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """The first match at or after ``scheduled_at``, or after now without it."""
        # A match is looked for strictly after the start.
        start = datetime.now(UTC) if scheduled_at is None else max(scheduled_at, _BEGIN) - _TICK
        return self._within(self._next(start))

    def _next(self, moment: datetime) -> datetime | None:
        return next(self._fires(moment), None)

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
        where = zone(self.timezone)
        minute, hour, *others = self.expression.split()
        fixed = len(others) == 3 and not (minute.startswith("*") or hour.startswith("*"))
        try:
            yield from (self._fixed if fixed else self._running)(moment, where)
        except (OverflowError, ValueError):  # beyond the year 9999
            return

    def _fixed(self, moment: datetime, where: tzinfo) -> Iterator[datetime]:
        """Matches of fixed hours and minutes, each day's once."""
        for match in CronSim(self.expression, moment.astimezone(where)):
            fire = match.astimezone(UTC)
            # In an hour that comes twice cronsim may answer with a moment before its start.
            if fire > moment:
                yield fire

    def _running(self, moment: datetime, where: tzinfo) -> Iterator[datetime]:
        """Matches that follow the clock on the wall wherever it is put.

        Cronsim steps over some of them when the clock is put by less than an hour, so that it is
        asked for each stretch of an even clock by itself.
        """
        offset, wall = _clock(moment, where)
        while True:
            for match in CronSim(self.expression, wall):
                fire = (match - offset).replace(tzinfo=UTC)
                change = next_change(where, moment, fire)
                if change is not None:
                    break
                yield fire
                moment = fire
            else:
                return
            moment = change
            offset, wall = _clock(change, where)
            wall -= _TICK  # what the clock shows after the change may be a match itself
