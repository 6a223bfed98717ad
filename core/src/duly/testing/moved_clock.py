"""The clock of a fake store: it goes with this host's or stands still, and is moved forward."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final

from duly.errors import InvalidArgument
from duly.moment import as_moment

__all__ = ["MovedClock"]

_LAST: Final = datetime(9990, 1, 1, tzinfo=UTC)  # leases and retries need some calendar beyond it

_SLACK: Final = timedelta(minutes=1)  # for which two clocks may differ without anybody's doing
_NEAR: Final = timedelta(days=365)  # as far ahead as most services schedule

# Not a warning of Python's, which fails a test where these are errors: what is scheduled so may be
# meant so. pytest shows what was logged only beside a test that has failed.
log = logging.getLogger("duly.testing")


class MovedClock:
    """A store's ``clock``; with ``now`` it stands still at that moment until it is moved."""

    def __init__(self, now: datetime | None) -> None:
        self._stands = now is not None
        self._ahead = timedelta(0)  # of this host's
        self._shown = datetime.now(UTC) if now is None else as_moment(now, "now")
        self._moved_to = self._shown
        self._has_told = False

    def __call__(self) -> datetime:
        """The present moment, in UTC; never before what it has shown already."""
        if not self._stands:
            self._shown = max(self._shown, datetime.now(UTC) + self._ahead)
        return self._shown

    def check(self, moment: datetime) -> None:
        """Whether it may be moved there; it may show a later moment if time has passed since.

        Raises:
            InvalidArgument: it is before the last move, or after the year 9989.
        """
        if moment < self._moved_to:
            raise InvalidArgument(
                f"the clock does not go back: it was moved to {self._moved_to}, which is after "
                f"{moment}"
            )
        if moment >= _LAST:
            raise InvalidArgument(f"{moment} is too near to the end of the calendar")

    def go_to(self, moment: datetime) -> None:
        """Show that moment, which is later than the present one."""
        self._ahead += moment - self()
        self._shown = self._moved_to = moment

    def look_at(self, id: str, moment: datetime) -> None:
        """Log, once, that a message was scheduled by this host's clock, as it seems.

        By that one it is to come, before long; by this one it is past, or far away.
        """
        host, now = datetime.now(UTC), self()
        if self._has_told or abs(now - host) <= _SLACK or not host < moment <= host + _NEAR:
            return
        if now - _SLACK <= moment <= now + _NEAR:
            return
        self._has_told = True
        log.warning(
            "%r is scheduled for %s: by this host's clock that is soon, by the FakeStore's, which "
            "shows %s, it is %s. duly.after() and datetime.now() go by the host's: use "
            "store.after(), or move the host's clock with time-machine",
            id, moment, now, "past" if moment <= now else "far away",
        )  # fmt: skip
