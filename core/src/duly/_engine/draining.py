"""A run that ends by itself: when nothing more is due, or when it is the moment to end."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from duly._engine.engine import Engine
from duly._engine.lane import J
from duly._engine.lanes import Lanes
from duly._engine.loop import Loop
from duly._engine.probing import LONGEST_NAP
from duly._engine.waiting import wait
from duly._values.publishing import Job
from duly.errors import SchedulerStateError, TransportUnavailable
from duly.store import SupportsMovingTime

__all__ = ["DrainingEngine", "DrainingLoop"]

_TO_END: Final = 20.0  # seconds for what is in flight, once no more is to be claimed


class PatientLanes(Lanes[J]):
    """Queues that send nothing back: what is due is to go out, however long it waits for a slot.

    What is sent back is due again a moment later, which may be never where time stands still.
    """

    def add(
        self, jobs: Sequence[J], now: float, *, took: float = 0.0, in_any_case: bool = False
    ) -> list[tuple[J, float]]:
        """Queue jobs, all of them."""
        return super().add(jobs, now, took=took, in_any_case=True)

    def tick(self, now: float) -> list[tuple[J, float]]:
        """There is nobody to make room for."""
        return []


class DrainingLoop(Loop):
    """Claims until nothing is due and nothing is in hand; no timer is needed for that."""

    until: datetime | None = None
    """The moment up to which the store's clock is moved."""
    limit = 10_000
    """How many claimed messages are taken for work that never ends."""
    failure: Exception | None = None
    """Why it has ended although more is due."""
    _claimed = 0

    async def run(self) -> None:
        """Claim until there is no more to do. Trouble of the store ends it.

        Raises:
            StoreError: what the store had to say.
        """
        hands, store = self._deliveries.hands, self._calls.store
        self._pulse.turns()
        while not self.stopped.is_set():
            self._pulse.turn()
            self._woken.clear()
            self.watch.looks()
            if self._outage.active:
                self._end(TransportUnavailable(self._outage.reason))
            elif self._claimed > self.limit:
                self._end(SchedulerStateError(_endless(self.limit)))
            elif await self._found_some():
                await asyncio.sleep(0)  # let the workers have a go
            elif hands.held:
                await wait(self._woken, LONGEST_NAP)
            elif not (
                self.until is not None
                and isinstance(store, SupportsMovingTime)
                and store.move_on(self.until)
            ):
                return

    async def _found_some(self) -> bool:
        """Claim what there is room for; whether to look again at once."""
        hands = self._deliveries.hands
        full = not (self._claims.under_way or self._claims.room())
        hands.starved = self._workers.hungry = full
        if full:
            await self._deliveries.settle()
            return False
        batch = await self._claims.next()
        self._claimed += len(batch.claims)
        brought = batch.claims or batch.unreadable or batch.newer
        return bool(brought or self._claims.under_way or hands.to_settle)

    def _end(self, failure: Exception) -> None:
        self.failure = failure
        self.stop(self._clock() + _TO_END)


class DrainingEngine(Engine):
    """A run that ends when there is no more to do."""

    lanes: ClassVar[type[Lanes[Job]]] = PatientLanes
    loops: ClassVar[type[Loop]] = DrainingLoop
    announces: ClassVar[bool] = False  # it is over soon
    loop: DrainingLoop


def _endless(limit: int) -> str:
    return (
        f"{limit} deliveries and more are due: a message that schedules itself for now, or a retry "
        "without a pause, would never end; if it is merely many, give a higher limit="
    )
