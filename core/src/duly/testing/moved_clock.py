"""The clock of a fake store: it goes with this host's or stands still, and is moved forward."""

from datetime import UTC, datetime, timedelta
from typing import Final

from duly.errors import InvalidArgument
from duly.moment import as_moment

__all__ = ["MovedClock"]

_LAST: Final = datetime(9990, 1, 1, tzinfo=UTC)  # leases and retries need some calendar beyond it


class MovedClock:
    """A store's ``clock``; with ``now`` it stands still at that moment until it is moved."""

    def __init__(self, now: datetime | None) -> None:
        self._stands = now is not None
        self._ahead = timedelta(0)  # of this host's
        self._shown = datetime.now(UTC) if now is None else as_moment(now, "now")
        self._moved_to = self._shown

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
