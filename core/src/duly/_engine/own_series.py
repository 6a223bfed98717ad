"""Ensures the series that a transport brings along, before its scheduler begins to claim."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from duly._engine.outage import Pauses
from duly._engine.waiting import wait
from duly._telemetry.logging import get_logger
from duly._values.error_text import error_text
from duly.errors import DuplicateMessage, StoreError, StoreUnavailable
from duly.message import Message
from duly.store import Ensured
from duly.transport import SupportsSeries, Transport

__all__ = ["ensured"]

log = get_logger()


async def ensured(
    transport: Transport,
    ensure: Callable[[Message], Awaitable[Ensured]],
    stopped: asyncio.Event,
) -> Sequence[str]:
    """Ensure each of its series; what is wrong with any of them, a sentence each.

    A store that is away is waited for, with growing pauses, until ``stopped``. One series that
    cannot be ensured keeps nothing else from being delivered.

    Raises:
        Unsupported: the store keeps no series like these.
        InvalidMessage: one of them cannot be ensured on any store.
    """
    if not isinstance(transport, SupportsSeries):
        return []
    troubles = []
    for message in transport.series():
        trouble = await _ensured(message, ensure, stopped)
        if stopped.is_set():
            break
        if trouble is not None:
            log.error("series_not_ensured", message_id=message.id, reason=trouble)
            troubles.append(f"the series {message.id!r} is not as this version has it: {trouble}")
    return troubles


async def _ensured(
    message: Message, ensure: Callable[[Message], Awaitable[Ensured]], stopped: asyncio.Event
) -> str | None:
    pauses = Pauses()
    while not stopped.is_set():
        try:
            outcome = await ensure(message)
        except StoreUnavailable as error:
            log.warning("store_unavailable", error=error_text(error))
            await wait(stopped, pauses.next())
        except (DuplicateMessage, StoreError) as error:
            return error_text(error)
        else:
            log.info("series_ensured", message_id=message.id, outcome=outcome.name.lower())
            newer = outcome is Ensured.NEWER
            return "a newer version of duly keeps it" if newer else None
    return None
