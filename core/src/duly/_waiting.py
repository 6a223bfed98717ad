"""Waiting for an event, until a moment that is met more precisely than event loops do alone."""

import asyncio
from typing import Final

__all__ = ["wait", "wait_precisely"]

_COARSE: Final = 0.001  # seconds: loops that poll round their timers up to the next millisecond


async def wait(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event was set within that time."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False


async def wait_precisely(event: asyncio.Event, seconds: float) -> bool:
    """The same; the last millisecond is spent letting others have their turns."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    if seconds > _COARSE and await wait(event, seconds - _COARSE):
        return True
    while not event.is_set():
        now = clock()
        if now >= end:
            return False
        await asyncio.sleep(0)
        if clock() == now:  # a loop whose time stands still while it works is exact by itself
            return await wait(event, end - now)
    return True
