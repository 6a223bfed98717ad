"""How many slots there are, and how many of them one event name may hold."""

import math
from typing import Final

from duly._values.limits import Limits

__all__ = ["Slots"]

_FAIR_FROM: Final = 4  # slots
_LATELY: Final = 1.0  # seconds for which a name that is done still counts as active


class Slots:
    """So many publishes may be in flight; the transport's own limits may leave fewer.

    Moments are loop time, in seconds.
    """

    def __init__(self, number: int, limits: Limits) -> None:
        self.number = number
        self.running = 0
        """Publishes in flight."""
        self.about = 0
        """Event names of which anything runs or waits."""
        self._lingering = 0
        self._crowded_until = -math.inf
        self.controlled = False
        self.limit(limits)

    @property
    def free(self) -> int:
        """How many publishes may start."""
        return max(0, self.ceiling - self.running)

    def limit(self, limits: Limits) -> None:
        """Take other limits of the transport than before."""
        self._limits, self._in_all = limits, limits.in_all
        self.most = min(self.number, limits.in_all or self.number)
        """How many may ever be in flight."""
        self.fair = self.most >= _FAIR_FROM
        """Whether there are enough to keep some for others."""
        self.quarter = self.most // 4 if self.fair else self.most
        """What a name may hold while others wait."""
        self.spared = self.most - self.quarter if self.fair else self.most
        """What a name may earn while others are active, so that these find a slot at once."""
        self.apart = self.fair or self.controlled or limits.least < self.number
        """Whether event names have lanes of their own."""
        self.linger(0)

    def control(self, *, limited: bool) -> None:
        """Whether people limit some names."""
        self.controlled = limited
        self.limit(self._limits)

    def linger(self, more: int) -> None:
        """So many more work on without a slot; they count for the transport's limit still."""
        self._lingering += more
        beside = self.number if self._in_all is None else self._in_all - self._lingering
        self.ceiling = min(self.number, beside)
        """How many may be in flight just now."""

    def crowd(self, now: float) -> bool:
        """Take note that several names are active; whether that is new."""
        new = now >= self._crowded_until
        self._crowded_until = now + _LATELY
        return new

    def most_of_one(self, now: float) -> int:
        """How many one name may earn."""
        return self.most if now >= self._crowded_until else self.spared
