"""When: claim while there is room and something is due, else sleep until it is, or until woken."""

import asyncio
from collections.abc import Sequence
from typing import Final

from duly._delivery import Deliveries
from duly._logging import get_logger
from duly._outage import Outage, Pauses
from duly._outcomes import error_text
from duly._workers import Workers
from duly.message import Message
from duly.store import Store, SupportsPeeking, SupportsWakeups, Token

__all__ = ["Loop"]

_LONGEST_NAP: Final = 5.0  # seconds, where the store can wake us
_LAST_WORDS: Final = 2.0  # seconds that a drain may take after its publishes were cut short

log = get_logger()


class Loop:
    """Decides when to claim and when to settle; the only one that asks for either.

    ``poll_interval`` is in seconds: the longest nap where the store cannot wake us.
    """

    def __init__(
        self,
        store: Store,
        deliveries: Deliveries,
        workers: Workers,
        outage: Outage,
        *,
        batch_size: int,
        poll_interval: float,
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._workers = workers
        self._outage = outage
        self._batch_size = batch_size
        self._poll_interval = poll_interval
        self._longest_nap = _LONGEST_NAP if isinstance(store, SupportsWakeups) else poll_interval
        self._clock = asyncio.get_running_loop().time
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self._pauses = Pauses()
        self._nap_ends = 0.0  # loop time
        self._probe: Token | None = None
        self._probe_at: float | None = None
        self.trouble: Exception | None = None

    def wake(self) -> None:
        """Look again now."""
        self._woken.set()

    def expect(self, messages: Sequence[Message]) -> None:
        """Look again if one of these, just stored, is due before the present nap ends."""
        earliest = min(message.next_attempt_at for message in messages)
        if self._clock() + self._deliveries.time.seconds_until(earliest) < self._nap_ends:
            self.wake()

    def stop(self) -> None:
        """Claim no more; :meth:`run` returns as soon as it can."""
        self._stopped.set()
        self._woken.set()

    async def run(self) -> None:
        """Claim until stopped. No trouble of the store ends it."""
        while not self._stopped.is_set():
            self._woken.clear()
            try:
                nap = await self._turn()
            except Exception as error:  # noqa: BLE001  # told, waited out, tried again
                self._note(error)
                await _wait(self._stopped, self._pauses.next())
            else:
                self._note(None)
                if nap > 0:
                    await self._nap(nap)
                else:
                    await asyncio.sleep(0)  # let the workers have a go

    async def drain(self, deadline: float) -> None:
        """Settle until nothing is in hand; publishes are cut short at ``deadline``, loop time."""
        self._workers.send_back("stopping")
        while self._deliveries.hands.held:
            self._woken.clear()
            now = self._clock()
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
                    await _wait(self._woken, max(0.0, until - self._clock()))

    async def watch(self) -> None:
        """Wake the loop whenever the store says that something came in."""
        while isinstance(self._store, SupportsWakeups):
            await self._store.wait_for_change()
            self.wake()

    async def _turn(self) -> float:
        """Do what there is to do; how long to nap then, in seconds, 0 for not at all."""
        deliveries = self._deliveries
        if self._outage.active:
            return await self._wait_out()
        self._probe_at = None
        limit = self._room()
        deliveries.hands.starved = not limit
        if not limit:
            await deliveries.settle()
            return _LONGEST_NAP
        batch = await deliveries.claim(limit)
        if batch.more or deliveries.hands.to_settle:
            return 0
        if batch.next_due is None:
            return self._longest_nap
        return min(self._longest_nap, deliveries.time.seconds_until(batch.next_due))

    def _room(self) -> int:
        """How many messages to claim: never more in hand than the free slots and one batch."""
        lanes = self._workers.lanes
        free = lanes.slots - lanes.running
        room = min(self._batch_size, free + self._batch_size - lanes.waiting)
        unfilled = free > 0 and not lanes.startable
        return room if room > 0 and (unfilled or room >= self._batch_size / 2) else 0

    async def _wait_out(self) -> float:
        """While the transport is gone: put all back, and send a probe now and then."""
        deliveries = self._deliveries
        if self._probe_at is None:
            self._workers.send_back("the transport is unavailable")
            self._workers.resume("outage")
            self._probe_at = self._clock() + self._outage.pause()
        await deliveries.settle()
        probe = deliveries.hands.held.get(self._probe) if self._probe is not None else None
        if probe is not None and probe.left:
            return _LONGEST_NAP
        pause = self._probe_at - self._clock()
        if pause > 0:
            return pause
        self._probe_at = self._clock() + self._outage.pause()
        if await self._outage.ready_to_probe():
            batch = await deliveries.claim(1)
            self._probe = batch.token
        return 0

    async def _nap(self, seconds: float) -> None:
        """Sleep until it is time, until woken, or until the store looks changed."""
        self._nap_ends = self._clock() + seconds
        store = self._store
        while not self._woken.is_set():
            left = self._nap_ends - self._clock()
            if left <= 0:
                break
            if not isinstance(store, SupportsPeeking):
                await _wait(self._woken, left)
            elif not await _wait(self._woken, min(left, self._poll_interval)):
                if await store.changed():
                    break
        self._nap_ends = 0.0

    def _note(self, error: Exception | None) -> None:
        """Hold all publishes while the store is in trouble: they could not be settled."""
        if error is not None:
            self._workers.hold("store")
            if self.trouble is None:
                log.warning("store_unavailable", error=error_text(error))
        elif self.trouble is not None:
            self._workers.resume("store")
            self._pauses.reset()
            log.info("store_back")
        self.trouble = error


async def _wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
