"""How much to claim at a time, and when to send the next claim."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from duly._engine.delivery import Deliveries
from duly._engine.workers import Workers
from duly.store import Batch, Store

__all__ = ["Claims"]

_STEPS: Final = 3  # of the event loop, until what is claimed has been sent


class Claims:
    """Claims as many messages as there is room for; the server is asked one thing at a time.

    There is room for slots that are free, and for bytes in hand.

    Where the store can tell that a claim was answered, the next one is sent before messages are
    made of the answer, so that the server is not idle meanwhile; unless ``halted``.
    """

    def __init__(
        self,
        store: Store,
        deliveries: Deliveries,
        workers: Workers,
        *,
        halted: Callable[[], bool],
    ) -> None:
        self._deliveries = deliveries
        self._lanes = workers.lanes
        self._halted = halted
        can_follow = getattr(type(store), "claims_ahead", False) is True
        self._followed: Mapping[str, Any] = {"answered": self._follow} if can_follow else {}
        self._ahead: asyncio.Task[Batch] | None = None

    @property
    def under_way(self) -> bool:
        """Whether there is a claim whose answer nobody has asked for."""
        return self._ahead is not None

    async def next(self) -> Batch:
        """The answer to the claim that is under way, or else to a new one."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            return await ahead
        return await self._deliveries.claim(self.room(), **self._followed)

    def room(self, coming: int = 0, size: int = 0) -> int:
        """How many messages to claim; ``coming``, of ``size`` bytes, are claimed already."""
        room = self._lanes.room(coming)
        return min(room, self._deliveries.hands.room(size)) if room else 0

    async def end(self) -> None:
        """Give up the claim that is under way."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait([self._ahead])
            if not self._ahead.cancelled():
                self._ahead.exception()  # which concerns nobody any more

    async def _follow(self, count: int, size: int, more: bool) -> None:
        # A suspect comes alone; whether another may come is known once this one is in hand.
        if more and count > 1 and self._ahead is None and not self._halted():
            limit = self.room(count, size)
            if limit:
                claim = self._deliveries.claim(limit, **self._followed)
                self._ahead = asyncio.create_task(claim, name="duly-claim")
                for _ in range(_STEPS):
                    await asyncio.sleep(0)
