"""Waiting for a connection to one of several receivers does not count as publishing."""

from contextlib import ExitStack
from types import SimpleNamespace

import aiohttp

from duly.transport import waiting

__all__ = ["telling_of_turns"]


def telling_of_turns() -> aiohttp.TraceConfig:
    """Tells the engine while a request waits for a connection."""
    config = aiohttp.TraceConfig()
    config.on_connection_queued_start.append(_begin)
    config.on_connection_queued_end.append(_end)
    config.on_request_exception.append(_end)
    return config


async def _begin(_: aiohttp.ClientSession, turn: SimpleNamespace, __: object) -> None:
    turn.waiting = ExitStack()
    turn.waiting.enter_context(waiting())


async def _end(_: aiohttp.ClientSession, turn: SimpleNamespace, __: object) -> None:
    begun = vars(turn).pop("waiting", None)
    if begun is not None:
        begun.close()
