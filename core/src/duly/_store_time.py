"""The store's clock, as well as it is known between two of its answers."""

import asyncio
from datetime import UTC, datetime, timedelta

__all__ = ["StoreTime"]


class StoreTime:
    """The store's time as last heard, and the time since by ours."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._heard, self._sent = datetime.now(UTC), self._clock()
        self._heard_any = False
        self.offset = timedelta(0)
        """By how much the store's clock is ahead of this host's."""

    def hear(self, now: datetime, sent: float) -> None:
        """Take the store's time from an answer to a question sent at ``sent``, in loop time."""
        if sent < self._sent and self._heard_any:
            return  # an answer that was overtaken by one to a later question
        self._heard_any = True
        self._heard, self._sent = now, sent
        self.offset = now - datetime.now(UTC)

    def now(self) -> datetime:
        """The store's time, or a little later: what was due stays due, lateness never negative."""
        return self._heard + timedelta(seconds=self._clock() - self._sent)

    def since(self, moment: datetime) -> timedelta:
        """How late it is by then; never negative, even if the store's clock was put back."""
        return max(self.now() - moment, timedelta(0))

    def seconds_until(self, moment: datetime) -> float:
        """How long until the store's clock shows that moment; negative when it is past."""
        return (moment - self.now()).total_seconds()
