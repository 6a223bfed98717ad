"""Two ways for time to pass, so that one case serves a clock turned by hand and the store's own."""

import asyncio
from datetime import datetime, timedelta
from typing import Protocol

from duly.store import Store
from duly.testing.clock import HandClock


class Time(Protocol):
    """How a case waits and what its short durations are."""

    moment: timedelta
    """A short while: leases and delays that cases wait out last a few of these."""

    async def now(self) -> datetime:
        """The store's time; call it only while nothing in the store is due."""

    async def sleep(self, duration: timedelta) -> None:
        """Let at least so much time pass."""


class HandTime:
    """Time stands still unless it is turned."""

    moment = timedelta(milliseconds=50)

    def __init__(self, clock: HandClock) -> None:
        self._clock = clock

    async def now(self) -> datetime:
        return self._clock()

    async def sleep(self, duration: timedelta) -> None:
        self._clock.advance(duration)


class OwnTime:
    """The store tells the time by itself."""

    def __init__(self, store: Store, patience: float) -> None:
        self._store = store
        self.moment = timedelta(milliseconds=50) * patience

    async def now(self) -> datetime:
        batch = await self._store.claim(limit=1, lease=self.moment, owner="clock")
        assert not batch.claims, "asked for the time while something was due"
        return batch.now

    async def sleep(self, duration: timedelta) -> None:
        # The server's clock and this host's do not run at quite the same speed.
        await asyncio.sleep(duration.total_seconds() + 0.002)
