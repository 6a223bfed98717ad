"""Transports and their bare client libraries, side by side: a module for each plugin."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import duly
from duly.transport import Envelope, Transport

__all__ = ["BATCH", "Missing", "Rivals", "Send", "opened"]

BATCH: Final = 100
"""What a scheduler gives to ``publish_many`` at a time."""

Send = Callable[[Sequence[Envelope]], Awaitable[object]]


class Rivals(NamedTuple):
    """An open transport, and what its client library does for it by hand, headers included."""

    transport: Transport
    one: Callable[[Envelope], Awaitable[object]]
    many: Send


class Missing(Exception):
    """There is nothing to measure at that place."""


@contextlib.asynccontextmanager
async def opened(transport: Transport) -> AsyncIterator[Transport]:
    """A transport while it is open."""
    try:
        await transport.open()
    except duly.TransportUnavailable as error:
        raise Missing(str(error)) from None
    try:
        yield transport
    finally:
        await transport.close()
