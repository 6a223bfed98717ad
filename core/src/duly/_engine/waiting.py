"""Waiting for an event, until a moment that is met more precisely than event loops do alone."""

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, Final

__all__ = ["Alarm", "ended_before", "wait"]

_ENDING: Final = 1.0  # seconds that cancelled work has to end
_COARSE: Final = 0.001  # seconds: some event loops round timers up to the next millisecond
_RARELY: Final = 0.01  # seconds between two moments that are met precisely


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def ended_before(event: asyncio.Event, work: Coroutine[Any, Any, object]) -> bool:
    """Whether work ended before the event was set, after which it is cancelled.

    Raises:
        Exception: what the work raised.
    """
    doing = asyncio.create_task(work)
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait([doing, waiting], return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
            return True
        return False
    finally:
        doing.cancel()
        waiting.cancel()
        if not doing.done():
            await asyncio.wait([doing], timeout=_ENDING)


class Alarm:
    """Waits precisely: the last millisecond is spent letting others have their turns.

    That keeps a core busy, so it is done only for moments that are some way apart; of moments close
    together, one millisecond gathers several.
    """

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._rung_at = -math.inf

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Whether the event was set within that time."""
        end = self._clock() + seconds
        if end - self._rung_at < _RARELY:
            return await wait(event, seconds)
        if seconds > _COARSE and await wait(event, seconds - _COARSE):
            return True
        self._rung_at = end
        while not event.is_set():
            now = self._clock()
            if now >= end:
                return False
            await asyncio.sleep(0)
            if self._clock() == now:  # in virtual time this would never end
                return await wait(event, end - now)
        return True
