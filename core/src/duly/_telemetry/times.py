"""Which clocks stand behind what is told: the store's, and that of spans."""

import asyncio
import time
from datetime import datetime, timedelta
from typing import Protocol

__all__ = ["StoreClock", "since_1970"]


class StoreClock(Protocol):
    """The store's time, as well as it is known; ``offset`` tells how far it is ahead of ours."""

    offset: timedelta

    def now(self) -> datetime:
        """The store's time, or a little later."""
        ...

    def likely(self) -> datetime:
        """The store's time, or a little earlier or later."""
        ...


def since_1970(moment: float) -> int:
    """A moment of loop time in nanoseconds since 1970, as spans have it."""
    return time.time_ns() - round((asyncio.get_running_loop().time() - moment) * 1e9)
