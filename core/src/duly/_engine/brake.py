"""The brake: while claims and wake-ups lead to nothing, they come less and less often.

A store may be mistaken about what is due, or about a row that somebody else has locked. The loop
would then ask it without a pause. Nothing that is truly due is held up: a caller that schedules
wakes the loop, and a due time still to come is met.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from duly._engine.outage import Pauses
from duly.store import Batch, Store, SupportsMovingTime, SupportsWakeups

__all__ = ["Brake", "Watch"]

_FIRST_NAP: Final = 0.01  # seconds; a nap that long means no hurry
_FREE: Final = 2  # empty claims in a row, where the store says that something is due
_FREE_TIMERS: Final = 10  # ... where it names a moment that is very near
_FREE_WAKEUPS: Final = 10
_MOMENT: Final = 0.000_000_5  # seconds: no time at all


class Brake:
    """How long to nap after each claim. ``longest`` is the longest nap, in seconds."""

    def __init__(self, longest: float) -> None:
        self._hurry = min(_FIRST_NAP, longest)  # seconds: shorter naps do not count as such
        self._pauses = Pauses(first=self._hurry, longest=longest)
        self._row = 0  # claims that brought nothing and had no cause of their own
        self.brought = 0
        """How many claims have brought something."""
        self.caused = True
        """Whether the next claim has a cause of its own: a timer, a wake-up."""

    def nap(self, batch: Batch, asked: float, until: float, *, caused: bool) -> float:
        """Seconds to nap after this claim, where the store asks for ``asked``.

        ``until`` is how many seconds the next due time is away, ``caused`` whether this claim had
        a cause: a timer, a wake-up, something to settle.
        """
        nap = self._slowed(batch, asked, until, caused=caused)
        self.caused = nap >= self._hurry and nap in (asked, until)
        return nap

    def _slowed(self, batch: Batch, asked: float, until: float, *, caused: bool) -> float:
        if batch.claims or batch.unreadable or batch.newer or batch.moved:
            self.brought += 1
            self._calm()
            return asked
        if asked >= self._hurry:
            self._calm()
            return asked
        self._row += not caused
        if asked > _MOMENT:
            return asked if self._row < _FREE_TIMERS else self._hurry
        if self._row < _FREE:
            return asked
        pause = self._pauses.next()
        if until <= _MOMENT:
            return pause
        return min(pause, until if self._row < _FREE_TIMERS else max(until, self._hurry))

    def _calm(self) -> None:
        if self._row:
            self._row = 0
            self._pauses.reset()


class Watch:
    """Calls ``wake`` whenever the store says that something came in.

    Wake-ups that follow each other at once and lead to nothing are slowed, except the first ones.
    """

    def __init__(
        self, store: Store, brake: Brake, *, wake: Callable[[], None], longest: float
    ) -> None:
        self._store = store
        self._brake = brake
        self._wake = wake
        self._pauses = Pauses(first=min(_FIRST_NAP, longest), longest=longest)
        self._clock = asyncio.get_running_loop().time
        self._looks = asyncio.Event()
        self._row = 0
        self._brought = 0

    def looks(self) -> None:
        """Call this when the loop is about to look for what has woken it."""
        self._looks.set()

    async def run(self) -> None:
        """Watch for ever, where the store can tell."""
        store = self._store
        while isinstance(store, SupportsWakeups):
            since = self._clock()
            await store.wait_for_change()
            self._looks.clear()
            self._wake()
            pause = self._pause(self._clock() - since)
            await self._looks.wait()  # which sees all that has come in until then
            await asyncio.sleep(pause)

    def _pause(self, waited: float) -> float:
        """For how long not to wait again; a change meanwhile is noticed afterwards."""
        if isinstance(self._store, SupportsMovingTime):  # a test, where no sleep may ever end
            return 0.0
        brought, self._brought = self._brought, self._brake.brought
        if brought != self._brought or waited >= _FIRST_NAP:
            self._row = 0
            self._pauses.reset()
        self._row += 1
        return self._pauses.next() if self._row > _FREE_WAKEUPS else 0.0
