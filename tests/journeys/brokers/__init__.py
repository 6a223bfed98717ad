"""The brokers that are killed in the journeys of transports: one small class each."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

from tests.servers.process import Server


class Arrival(NamedTuple):
    """What a consumer got, by the message's own headers ``duly-message-id`` and so on."""

    id: str
    delivery_id: str
    attempt: int
    payload: bytes


class Broker(ABC):
    """A broker in a process of the tests' own, and a real consumer that notes what arrives.

    A subclass makes ``server`` in :meth:`prepare`, and gives the URL of its transport.
    """

    acknowledges: ClassVar[bool] = True
    """Whether a publish is confirmed, so that none may be lost."""

    deduplicates: ClassVar[bool] = False
    """Whether the broker itself drops what it had before, so that none may come twice."""

    server: Server

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    @abstractmethod
    def url(self) -> str:
        """The URL of the transport."""

    @abstractmethod
    def prepare(self) -> Server:
        """The server, not started yet; it keeps on disk what it has accepted."""

    async def listen(self) -> None:  # noqa: B027  # where the broker itself is the consumer
        """Make the destination and start the consumer, which comes back by itself later."""

    @abstractmethod
    async def arrivals(self) -> Sequence[Arrival]:
        """All that the consumer got so far, in the order in which it came."""

    async def leave(self) -> None:  # noqa: B027  # where the broker itself is the consumer
        """End the consumer."""

    async def kill(self) -> None:
        """End the server without warning."""
        await asyncio.to_thread(self.server.kill)

    async def restart(self) -> None:
        """Start it once more, at the same address and with what it kept on disk."""
        await asyncio.to_thread(self.server.start)

    async def __aenter__(self) -> Self:
        self.server = self.prepare()
        await asyncio.to_thread(self.server.start)
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        try:
            await self.leave()
        finally:
            await asyncio.to_thread(self.server.close)
