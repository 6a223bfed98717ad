"""When: claim while there is room and something is due, else sleep until it is, or until woken."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Final

from duly._caller.calls import StoreCalls
from duly._engine.brake import Brake, Watch
from duly._engine.claims import Claims
from duly._engine.delivery import Deliveries
from duly._engine.outage import Outage, Pauses
from duly._engine.probing import LONGEST_NAP, MOMENT, Probing
from duly._engine.pulse import Pulse
from duly._engine.waiting import Alarm, wait
from duly._engine.workers import Workers
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly.errors import StoreError
from duly.message import Message
from duly.store import SupportsPeeking, SupportsWakeups

__all__ = ["Loop"]

_TOO_EARLY: Final = 0.001  # seconds by which a claim may come too early, to be sent again at once
_LAST_WORDS: Final = 2.0  # seconds that a drain may take after its publishes were cut short

log = get_logger()


class Loop:
    """Decides when to claim and when to settle; nothing else does.

    ``poll_interval`` is in seconds: the longest nap where the store cannot wake us. ``tell`` is
    called with "store" when that is found away.
    """

    def __init__(
        self,
        calls: StoreCalls,
        deliveries: Deliveries,
        workers: Workers,
        outage: Outage,
        *,
        batch_size: int,
        poll_interval: float,
        pulse: Pulse,
        tell: Callable[[str], object],
    ) -> None:
        self._calls = calls
        self._pulse = pulse
        self._tell = tell
        self._deliveries = deliveries
        self._workers = workers
        self._outage = outage
        self._claims = Claims(calls.store, deliveries, workers, halted=self._halted)
        self._poll_interval = poll_interval
        wakes = isinstance(calls.store, SupportsWakeups)
        self._longest_nap = LONGEST_NAP if wakes else poll_interval
        self._probing = Probing(
            deliveries,
            workers,
            outage,
            batch_size=batch_size,
            longest_nap=self._longest_nap,
            wake=self.wake,
        )
        self._clock = asyncio.get_running_loop().time
        self._woken = asyncio.Event()
        self._deadline = math.inf  # of the drain, in loop time
        self._pauses = Pauses()
        self._brake = Brake(poll_interval)
        self.watch = Watch(calls.store, self._brake, wake=self.wake, longest=poll_interval)
        self._alarm = Alarm()
        self._to_meet = False  # whether the next nap ends when a claim must be sent to be in time
        self._rang = False  # whether such a nap has just ended in time
        self._nap_ends = math.inf  # loop time; infinite while awake: then all that is stored wakes
        self.stopped = asyncio.Event()
        """Set when no more is to be claimed."""
        self.trouble: Exception | None = None

    def wake(self) -> None:
        """Look again now."""
        self._woken.set()

    def expect(self, messages: Sequence[Message]) -> None:
        """Look again if one of these, just stored, is due before the present nap ends."""
        earliest = min(message.next_attempt_at for message in messages)
        if self._clock() + self._deliveries.time.seconds_until(earliest) < self._nap_ends:
            self.wake()

    def stop(self, deadline: float) -> None:
        """Claim no more: :meth:`run` returns as soon as it can.

        Of several deadlines, in loop time, the earliest holds for :meth:`drain`.
        """
        self._deadline = min(self._deadline, deadline)
        self.stopped.set()
        self._woken.set()

    async def end(self) -> None:
        """End what this has started and nobody waits for."""
        self._probing.end()
        await self._claims.end()

    async def run(self) -> None:
        """Claim until stopped. No trouble of the store ends it."""
        self._pulse.turns()
        while not self.stopped.is_set():
            self._pulse.turn()
            if not self._claims.under_way:  # its answer may not know what has woken us since
                if self._woken.is_set() or self._to_meet:  # there is something to publish, maybe
                    self._deliveries.controls.follow()
                self._brake.caused |= self._woken.is_set()
                self._woken.clear()
                self.watch.looks()
            try:
                nap = await self._turn()
            except Exception as error:  # noqa: BLE001  # told, waited out, tried again
                self._note(error)
                await wait(self.stopped, self._pauses.next())
            else:
                self._note(None)
                if nap > MOMENT:
                    await self._nap(nap)
                else:
                    await asyncio.sleep(0)  # let the workers have a go

    async def drain(self) -> None:
        """Settle until nothing is in hand; publishes are cut short at the deadline."""
        self._pulse.state = "stopping"
        self._probing.end()
        if self._claims.under_way:
            try:
                await self._claims.next()  # what it brings is put back
            except Exception as error:  # noqa: BLE001  # told; what it claimed lapses
                self._note(error)
        self._workers.send_back("stopping")
        while self._deliveries.hands.held:
            self._woken.clear()
            now, deadline = self._clock(), self._deadline
            if now >= deadline:
                self._workers.cut_short("stopping")
            if now >= deadline + _LAST_WORDS:
                log.warning("stopped_with_claims_in_hand", batches=len(self._deliveries.hands.held))
                break
            try:
                await self._deliveries.settle()
            except Exception as error:  # noqa: BLE001  # tried again until the time is over
                self._note(error)
                await asyncio.sleep(self._pauses.next())
            else:
                if self._deliveries.hands.held:
                    until = deadline if now < deadline else deadline + _LAST_WORDS
                    await wait(self._woken, max(0.0, until - self._clock()))

    async def _turn(self) -> float:
        """Do what there is to do; how long to nap then, in seconds, 0 for not at all."""
        deliveries, claims = self._deliveries, self._claims
        rang, self._rang, self._to_meet = self._rang, False, False
        caused = self._brake.caused or deliveries.hands.to_settle
        self._brake.caused = True
        if not claims.under_way:
            if self._outage.active:
                return await self._probing.turn(in_doubt=self.trouble is not None)
            full = not claims.room()
            deliveries.hands.starved = self._workers.hungry = full
            if full:
                if not await deliveries.settle() and self.trouble is not None:
                    await self._calls.stats()  # whether it is back
                return LONGEST_NAP
        batch = await claims.next()
        if rang:
            deliveries.time.learn()
        if claims.under_way or deliveries.hands.to_settle:
            return 0
        due = batch.next_due
        until = math.inf if due is None else deliveries.time.seconds_until(due)
        at_once = batch.more or (rang and not batch.claims and until < _TOO_EARLY)
        asked = 0.0 if at_once else min(self._longest_nap, until)
        nap = self._brake.nap(batch, asked, until, caused=caused)
        self._to_meet = nap == until
        return nap

    def _halted(self) -> bool:
        return self._outage.active or self.stopped.is_set() or self.trouble is not None

    async def _nap(self, seconds: float) -> None:
        """Sleep until it is time, until woken, or until the store looks changed."""
        self._nap_ends = self._clock() + seconds
        store = self._calls.store
        while not self._woken.is_set():
            left = self._nap_ends - self._clock()
            if left <= MOMENT:
                break
            if isinstance(store, SupportsPeeking) and left > self._poll_interval:
                if not await wait(self._woken, self._poll_interval) and await self._changed(store):
                    break
            elif self._to_meet:
                self._rang = not await self._alarm.wait(self._woken, left)
            else:
                await wait(self._woken, left)
        self._nap_ends = math.inf

    async def _changed(self, store: SupportsPeeking) -> bool:
        try:
            return await self._calls.changed(store)
        except Exception:  # noqa: BLE001  # a claim will tell what is wrong, and is waited out
            return True

    def _note(self, error: Exception | None) -> None:
        """Hold all publishes while the store is in trouble: they could not be settled."""
        if error is not None:
            self._workers.hold("store")
            self._pulse.store_up = False
            if self.trouble is None:
                self._tell("store")
                if isinstance(error, StoreError):
                    log.warning("store_unavailable", error=error_text(error))
                else:  # no store that keeps the contract raises this: a bug in it, or in duly
                    log.error("turn_failed", error=error_text(error), exc_info=error)
        elif self.trouble is not None:
            self._workers.resume("store")
            self._pauses.reset()
            self._pulse.store_up = True
            log.info("store_back")
        self.trouble = error
