"""The store's clock, as well as it is known between two of its answers."""

import asyncio
from collections import deque
from datetime import UTC, datetime, timedelta
from typing import Final

from duly._telemetry.logging import get_logger
from duly.health import Report
from duly.store import Store, SupportsMovingTime

__all__ = ["StoreTime", "time_of"]

_RECENT: Final = 16  # claims at due times that tell how long the next takes to reach the store
_AT_MOST: Final = 0.005  # seconds that these may say more or less than the last answer
_NEAR: Final = 2 * _AT_MOST  # seconds, so that one that came too early is not sent again too early
_IN_STEP: Final = timedelta(seconds=1)  # clocks that differ by no more need nobody's attention
_PUNCTUAL: Final = timedelta(seconds=1)  # how late a claim of a busy host may be

log = get_logger()


class StoreTime:
    """The store's time as last heard, and the time since by ours.

    The store read its clock at some moment between our question and its answer. What must not be
    too late assumes the moment of the question (:meth:`now`); what must not be too early, that of
    the answer (:meth:`at_least`). What is only shown takes the middle, which errs by half of that
    time at most [Cristian, "Probabilistic clock synchronization", 1989] (:meth:`likely`).

    A claim that is to reach the store at a due time must be sent earlier, by the time that it takes
    to get there. The recent claims tell how long: we go by the quickest, so that few come too early
    (:meth:`seconds_until`).
    """

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._heard, self._sent = datetime.now(UTC), self._clock()
        self._received = self._sent
        self._took = deque([0.0, 0.0], maxlen=2)  # seconds from question to answer, of the latest
        self._ahead_until: datetime | None = None  # what it showed before it was put back
        self._half = timedelta(0)  # of the time from the last question to its answer
        self._first = self._heard, self._sent
        self._heard_any = False
        # Of claims that were to meet a due time: seconds of the store since the first answer, less
        # those of ours from the first question to this one.
        self._punctual: deque[float] = deque(maxlen=_RECENT)
        self.offset = timedelta(0)
        """By how much the store's clock is ahead of this host's."""

    def hear(self, now: datetime, sent: float) -> None:
        """Take the store's time from an answer to a question sent at ``sent``, in loop time."""
        received = self._clock()
        if not self._heard_any:
            self._heard_any, self._first = True, (now, sent)
        elif sent < self._sent:
            return  # an answer that was overtaken by one to a later question
        else:
            self._compare(now, sent)
        self._heard, self._sent, self._received = now, sent, received
        self._took.append(received - sent)
        self._half = timedelta(seconds=(received - sent) / 2)
        self.offset = now + self._half - datetime.now(UTC)

    def learn(self) -> None:
        """Take note of how long the last question took to the store: it was to meet a due time."""
        self._punctual.append(self._ahead())

    def now(self) -> datetime:
        """The store's time, or a little later: what was due stays due, what expired expired."""
        return self._heard + timedelta(seconds=self._clock() - self._sent)

    def at_least(self) -> datetime:
        """The store's time, or a little earlier: what has not expired has not expired."""
        return self._heard + timedelta(seconds=self._clock() - self._received)

    def likely(self) -> datetime:
        """The store's time, or a little earlier or later."""
        return self.now() - self._half

    def since(self, moment: datetime) -> timedelta:
        """How late it is by then; never negative, even if the store's clock was put back."""
        return max(self.likely() - moment, timedelta(0))

    def seconds_until(self, moment: datetime) -> float:
        """How long until a claim has to be sent to meet that moment; negative when it is past."""
        seconds = (moment - self.now()).total_seconds()  # if it takes as long as the last one
        if seconds > _NEAR and self._punctual:
            sooner = min(self._punctual) - self._ahead()
            seconds -= max(-_AT_MOST, min(sooner, _AT_MOST))
        return round(seconds, 6)

    def punctual(self) -> timedelta:
        """How late a claim may come for a message although only the network delays it.

        A message that falls due just after the store has answered a claim waits until that answer
        has arrived and the next claim has reached the store.
        """
        return _PUNCTUAL + timedelta(seconds=sum(self._took))

    def examine(self, report: Report) -> None:
        """Report what is odd about the clocks."""
        report.details["clock_offset"] = self.offset
        if abs(self.offset) > _IN_STEP:
            report.odd(f"this host's clock is {-self.offset.total_seconds():.1f} s off the store's")
        now = self.likely()
        if self._ahead_until is not None and now < self._ahead_until:
            report.details["clock_ahead_until"] = self._ahead_until
            seconds = (self._ahead_until - now).total_seconds()
            report.odd(
                f"the store's clock was put back: series that went by what it showed before may be "
                f"silent for {seconds:.0f} s from now, unless you reschedule them"
            )

    def _compare(self, now: datetime, sent: float) -> None:
        """Take note if the store's clock was put back since its last answer."""
        expected = self._heard + timedelta(seconds=max(0.0, sent - self._received))
        if expected - now <= _IN_STEP:
            return
        if self._ahead_until is None or self._ahead_until < expected:
            self._ahead_until = expected
        log.warning("store_clock_put_back", seconds=round((expected - now).total_seconds(), 3))

    def _ahead(self) -> float:
        heard, sent = self._first
        return (self._heard - heard).total_seconds() - (self._sent - sent)


class MovedTime(StoreTime):
    """The time of a store whose clock tests move: it is asked, and nothing is guessed from it."""

    def __init__(self, store: SupportsMovingTime) -> None:
        super().__init__()
        self._store = store

    def hear(self, now: datetime, sent: float) -> None:
        """There is nothing to remember."""

    def learn(self) -> None:
        """No question takes any time."""

    def now(self) -> datetime:
        """The store's time."""
        return self._store.now

    at_least = likely = now

    def seconds_until(self, moment: datetime) -> float:
        """How long until that moment, if nobody moves the clock."""
        return (moment - self._store.now).total_seconds()

    def examine(self, report: Report) -> None:
        """That such a clock differs from ours is what it is for."""


def time_of(store: Store) -> StoreTime:
    """How the time of a store is told."""
    return MovedTime(store) if isinstance(store, SupportsMovingTime) else StoreTime()
