"""Waiting out a transport that is gone: nothing is published but a probe now and then.

Each probe is the next of the messages due, from the oldest on, so that one that cannot be sent does
not block the others. It is claimed together with those before it, which are put back at once: so
all of them keep their places, and when the transport is back the oldest go first.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from duly._engine.delivery import Deliveries
from duly._engine.outage import Outage
from duly._engine.workers import Workers
from duly.store import Token

__all__ = ["LONGEST_NAP", "MOMENT", "Probing"]

LONGEST_NAP: Final = 5.0  # seconds, where we are woken
_NO_SLOT: Final = 1.0  # seconds until a probe that finds no slot makes way for another
MOMENT: Final = 0.000_000_5  # seconds: less is what sums of seconds leave of whole microseconds


class Probing:
    """What the loop does in an outage. ``wake`` is called when there is something to do.

    A probe is one message of the first ``batch_size`` that are due, another one each time.
    ``longest_nap`` is in seconds.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        workers: Workers,
        outage: Outage,
        *,
        batch_size: int,
        longest_nap: float,
        wake: Callable[[], None],
    ) -> None:
        self._deliveries = deliveries
        self._workers = workers
        self._outage = outage
        self._batch_size = batch_size
        self._longest_nap = longest_nap
        self._wake = wake
        self._clock = asyncio.get_running_loop().time
        self._number = 0  # which outage was last waited out
        self._place = 0  # of the last probe among what is due, from 1
        self._probe: Token | None = None
        self._probe_at = 0.0  # loop time
        self._probes = 0  # publishes of probes before the present one
        self._sent_at = 0.0  # when the present one was claimed, in loop time
        self._reaching: asyncio.Task[bool] | None = None

    def end(self) -> None:
        """End what this has started and nobody waits for."""
        if self._reaching is not None:
            self._reaching.cancel()

    async def turn(self, *, in_doubt: bool) -> float:
        """Do what there is to do; how long to nap then, in seconds, 0 for not at all.

        ``in_doubt``: the store failed last, so that it is asked for something in any case.
        """
        deliveries, outage = self._deliveries, self._outage
        if self._number != outage.number:
            self._begin()
        if not await deliveries.settle() and in_doubt:
            await deliveries.claim(1, only=0, suspects=False)
        if not outage.active:
            return 0
        probe = deliveries.hands.held.get(self._probe) if self._probe is not None else None
        if probe is not None and probe.left > probe.lingering:
            if outage.probes > self._probes:
                return LONGEST_NAP
            left = self._sent_at + _NO_SLOT - self._clock()
            if left > MOMENT:
                return left
            self._workers.send_back("there is no slot for this probe")  # for the next one, maybe
            return 0
        if self._probe is not None and outage.probes == self._probes:
            self._probe_at = self._clock()  # it was not published: expired, missed, cancelled
        self._probe = None
        nap = self._reach() if outage.away else None
        return await self._send() if nap is None else nap

    def _begin(self) -> None:
        """Put all back that waits in hand."""
        self._number = self._outage.number
        self._workers.send_back("the transport is unavailable")
        self._workers.resume("outage")
        self._place = 0
        self._probe_at = self._clock() + self._outage.pause()

    def _reach(self) -> float | None:
        """Have the transport opened when it is time; how long to nap, None to send a probe."""
        if self._reaching is None:
            pause = self._probe_at - self._clock()
            if pause > MOMENT:
                return pause
            self._reaching = asyncio.create_task(self._outage.ready_to_probe(), name="duly-reach")
            self._reaching.add_done_callback(lambda _: self._wake())
        if not self._reaching.done():
            return LONGEST_NAP
        ready, self._reaching = self._reaching.result(), None
        self._probe_at = self._clock() + self._outage.pause()
        return None if ready else 0

    async def _send(self) -> float:
        """Send a probe, if there is anything due; how long to nap then."""
        deliveries, outage = self._deliveries, self._outage
        self._probes, self._sent_at = outage.probes, self._clock()
        most = min(self._batch_size, max(1, deliveries.hands.room()))  # bytes are bounded here too
        self._place = self._place + 1 if self._place < most else 1
        first = self._place == 1  # a suspect comes alone, so only the first of a round may be one
        batch = await deliveries.claim(self._place, only=self._place, suspects=first)
        self._probe = batch.token
        if batch.claims:
            if len(batch.claims) < self._place:  # there are no more: it was the oldest again
                self._place = 1
            if not outage.away:
                self._probe_at = self._clock() + outage.pause()
            deliveries.hands.tick(early=0)
            await deliveries.settle()
            return 0
        self._place = 0
        if batch.unreadable or batch.newer or not first:
            self._probe_at = self._clock()
            return 0
        outage.idle()
        if outage.away:
            return 0
        if batch.next_due is None:
            return self._longest_nap
        return min(self._longest_nap, deliveries.time.seconds_until(batch.next_due))
