"""Opening the store, at once or as soon as it is there."""

import asyncio
from collections.abc import Callable

from duly._caller.calls import StoreCalls
from duly._engine.outage import Pauses
from duly._engine.waiting import ended_before, wait
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly.errors import StoreUnavailable

__all__ = ["opened"]

log = get_logger()


async def opened(
    calls: StoreCalls,
    *,
    patient: bool,
    stopped: asyncio.Event | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> bool:
    """Open the store; whether it is open, and not ``stopped`` before.

    ``patient``: one that is away is waited for, with growing pauses, and ``tell`` is
    called with "store" once.

    Raises:
        StoreUnavailable: it is away; not if ``patient``.
        StoreError: it cannot be used; waiting would not help.
        SchedulerStateError: it was closed while it was waited for.
    """
    stopped = asyncio.Event() if stopped is None else stopped
    pauses, away = Pauses(), False
    calls.allow()
    while True:
        try:
            if not await ended_before(stopped, calls.open()):
                return False
        except StoreUnavailable as error:
            if not patient:
                raise
            if not away:
                log.warning("store_unavailable", error=error_text(error))
                tell("store")
            away = True
        else:
            if away:
                log.info("store_back")
            return True
        if await wait(stopped, pauses.next()):
            return False
