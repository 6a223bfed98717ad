"""When again: the two kinds of recurrence, anchored to the schedule, never to the delivery."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from duly._values.cron_fires import fires
from duly._values.cron_text import cron_text
from duly._values.recurrence_base import MOST_COUNTED, Recurrence
from duly._values.recurrence_values import (
    Missed,
    as_anchor,
    as_interval,
    as_timezone,
)
from duly._values.zones import zone
from duly.errors import InvalidArgument

__all__ = ["MOST_COUNTED", "Cron", "Every", "Missed", "Recurrence"]

_TICK: Final = timedelta(microseconds=1)
_BEGIN: Final = datetime(1900, 1, 1, tzinfo=UTC)  # no clock was put before
_ONE_SECOND: Final = timedelta(seconds=1)  # the least between two fires of a cron expression
_FIRST_WINDOW: Final = timedelta(minutes=2)


@attrs.frozen
class Every(Recurrence):
    """Again every ``interval``, counted from ``scheduled_at`` or one interval after creation.

    ``Every(timedelta(hours=1))``: the n-th fire is n intervals after the first, however late any
    of them was delivered. At least one millisecond, and at least ``jitter``.

    With an ``anchor`` the fires are at that moment and whole intervals before and after it, and the
    first is the first of them at or after ``scheduled_at``, or after creation.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
    """

    interval: timedelta = attrs.field(converter=as_interval, kw_only=False)
    anchor: datetime | None = attrs.field(default=None, converter=as_anchor)

    def __attrs_post_init__(self) -> None:
        if self.jitter > self.interval:
            raise InvalidArgument(
                f"jitter must be at most the interval, {self.interval}, not {self.jitter}"
            )

    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """``scheduled_at`` itself, or one interval after ``created_at`` without it.

        With an anchor the first fire at or after ``scheduled_at``, or after ``created_at``.
        """
        if scheduled_at is None:
            return self._within(self._next(created_at))
        if self.anchor is None:
            return self._within(scheduled_at)
        try:
            return self._within(self._next(scheduled_at - _TICK))
        except OverflowError:  # at the first moment there is
            return None

    def _next(self, moment: datetime) -> datetime | None:
        try:
            if self.anchor is None:
                return moment + self.interval
            return self.anchor + ((moment - self.anchor) // self.interval + 1) * self.interval
        except OverflowError:
            return None

    def count(self, fire: datetime, last: datetime) -> int:
        """How many fires there are from ``fire`` to ``last``, both fires of the series."""
        if self.anchor is None:
            return (last - fire) // self.interval + 1
        number = (last - self.anchor) // self.interval - (fire - self.anchor) // self.interval
        return number + 1

    @property
    def format(self) -> int:
        """See :attr:`Recurrence.format`."""
        return 2 if self.jitter or self.anchor is not None else 1

    def is_same_rule(self, other: Recurrence) -> bool:
        """See :meth:`Recurrence.is_same_rule`."""
        return (
            isinstance(other, Every)
            and self.interval == other.interval
            and self.anchor == other.anchor
        )

    def _last(self, fire: datetime, bound: datetime) -> datetime:
        start = fire if self.anchor is None else self.anchor
        try:
            return max(fire, start + (bound - start) // self.interval * self.interval)
        except OverflowError:  # the last before the anchor would be before the first moment
            return fire


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
    timezone: str = attrs.field(default="UTC", converter=as_timezone)

    def first(self, scheduled_at: datetime | None, created_at: datetime) -> datetime | None:
        """The first match at or after ``scheduled_at``, or after now without it."""
        # A match is looked for strictly after the start.
        start = datetime.now(UTC) if scheduled_at is None else max(scheduled_at, _BEGIN) - _TICK
        return self._within(self._next(start))

    def is_same_rule(self, other: Recurrence) -> bool:
        """See :meth:`Recurrence.is_same_rule`."""
        return (
            isinstance(other, Cron)
            and self.expression == other.expression
            and self.timezone == other.timezone
        )

    def _next(self, moment: datetime) -> datetime | None:
        return next(self._fires(moment), None)

    def all_after(self, moment: datetime) -> Iterator[datetime]:
        """Every fire after ``moment``, earliest first; from one to the next it costs less."""
        for fire in self._fires(moment):
            if self._within(fire) is None:
                return
            yield fire

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
