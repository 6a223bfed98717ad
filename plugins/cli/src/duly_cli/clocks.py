"""When the clocks of a time zone are put forward or back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import attrs

__all__ = ["Change", "changes"]

_WEEK: Final = timedelta(weeks=1)
_SECOND: Final = timedelta(seconds=1)


@attrs.frozen(kw_only=True)
class Change:
    """At a moment clocks show something else: ``before`` and ``after`` are their leads on UTC."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def back(self) -> bool:
        """Whether some time on the clock comes twice; else some never comes."""
        return self.after < self.before

    @property
    def gap(self) -> timedelta:
        """How long that time is."""
        return abs(self.after - self.before)

    @property
    def shown(self) -> tuple[datetime, datetime]:
        """What clocks show right before and at that moment, without a zone."""
        wall = self.at.astimezone(UTC).replace(tzinfo=None)
        return wall + self.before, wall + self.after

    def concerns(self, wall: datetime) -> bool:
        """Whether a time on the clock comes twice here, or never."""
        return min(self.shown) <= wall < max(self.shown)

    def __str__(self) -> str:
        before, after = self.shown
        return f"from {before:%H:%M} to {after:%H:%M}"

    @property
    def way(self) -> str:
        """Such as "clocks go back"."""
        return f"clocks go {'back' if self.back else 'forward'}"


def changes(zone: tzinfo, start: datetime, end: datetime) -> Iterator[Change]:
    """The changes behind ``start`` up to ``end``; two within a week count as one."""
    if zone is UTC:
        return
    moment = start.astimezone(UTC)
    while moment < end:
        after = moment + min(_WEEK, end - moment)
        if _lead(zone, after) != _lead(zone, moment):
            at = _narrowed(zone, moment, after)
            yield Change(at=at, before=_lead(zone, moment), after=_lead(zone, after))
        moment = after


def _narrowed(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    lead = _lead(zone, before)
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if _lead(zone, middle) == lead:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def _lead(zone: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)
