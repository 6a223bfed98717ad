"""Whether one run is alive, as far as that is known without asking anybody."""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from duly._telemetry.gauges import Here
from duly.health import Liveness

__all__ = ["Pulse"]

_TURNS_WITHIN: Final = 30.0  # seconds
_BESIDE: Final = 5.0  # seconds of a turn, besides a nap and two calls of the store


class Pulse:
    """Notes when the loop turns and what it meets; read by any thread.

    ``patience`` is for how many seconds a call of the store is waited for, ``nap`` how many the
    loop sleeps at most.
    """

    def __init__(self, *, slots: int, patience: float, nap: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._slots = slots
        self._within = max(_TURNS_WITHIN, nap + 2 * patience + _BESIDE)
        self._turned_at = math.nan
        self.state = "opening"
        self.store_up = False
        self.transport_up: Callable[[], bool] = lambda: False
        self.slots_used: Callable[[], int] = lambda: 0

    def turn(self) -> None:
        """The loop begins another turn."""
        self._turned_at = self._clock()

    def turns(self) -> None:
        """The loop begins to turn."""
        self.state = "running"
        self.turn()

    def age(self) -> float | None:
        """How many seconds ago the loop turned last; None: it does not turn yet, or no more."""
        return self._clock() - self._turned_at if self.state == "running" else None

    def here(self) -> Here:
        """What the gauges show."""
        return Here(
            store_up=self.store_up,
            transport_up=self.transport_up(),
            slots_used=self.slots_used(),
            slots_limit=self._slots,
            turn_age=self.age(),
        )

    def liveness(self) -> Liveness:
        """What probes are told."""
        age = self.age()
        return Liveness(
            state=self.state,
            store_up=self.store_up,
            transport_up=self.transport_up(),
            last_turn_age=None if age is None else timedelta(seconds=age),
            turns_within=timedelta(seconds=self._within),
        )
