"""What the kinds of recurrence share; to be imported from :mod:`duly.recurrence`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly._values.copying import Growing
from duly._values.jitter import jittered
from duly._values.recurrence_values import (
    Missed,
    as_grace,
    as_jitter,
    as_max_occurrences,
    as_missed,
    as_until,
)

__all__ = ["MOST_COUNTED", "Recurrence"]

MOST_COUNTED: Final = 100
"""Fires of a cron expression that are counted at most, one by one."""

_TICK: Final = timedelta(microseconds=1)
_NONE: Final = timedelta(0)
_ONE_MINUTE: Final = timedelta(minutes=1)


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

    max_occurrences: int | None = attrs.field(default=None, converter=as_max_occurrences)
    until: datetime | None = attrs.field(default=None, converter=as_until)
    missed: Missed = attrs.field(default="once", converter=as_missed)
    grace: timedelta = attrs.field(default=_ONE_MINUTE, converter=as_grace)
    jitter: timedelta = attrs.field(default=_NONE, converter=as_jitter)

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

    def all_after(self, moment: datetime) -> Iterator[datetime]:
        """Every fire after ``moment``, a fire itself, earliest first."""
        fire = self.following(moment)
        while fire is not None:
            yield fire
            fire = self.following(fire)

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

    @property
    def format(self) -> int:
        """The record format that a message with it needs at least."""
        return 2 if self.jitter else 1

    @abstractmethod
    def is_same_rule(self, other: "Recurrence") -> bool:
        """Whether both fire at the same moments, what bounds and delays them aside."""

    def begins_after(self, moment: datetime) -> datetime | None:
        """The first fire of a series that begins at ``moment``, later than that; None: none."""
        return self._within(self._next(moment))

    def goes_on_after(self, fire: datetime, moment: datetime) -> datetime | None:
        """The first fire later than ``moment`` of a series that is at ``fire``; None: none."""
        return self._within(self._next(fire if moment <= fire else self._last(fire, moment)))

    def _within(self, fire: datetime | None) -> datetime | None:
        return None if fire is None or (self.until is not None and fire > self.until) else fire
