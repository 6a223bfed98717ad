"""The producer in use: when one is given up, a new one is started in its place."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from duly.errors import InvalidArgument, TransportError, TransportUnavailable
from duly_kafka.producer import Producer
from duly_kafka.server import Cluster

__all__ = ["Line"]

_CLOSING: Final = 2.0  # seconds for what is on its way; a scheduler waits for 5


class Line:
    """A lasting way to the cluster; ``timeout`` in seconds, ``settings`` are aiokafka's."""

    def __init__(self, cluster: Cluster, timeout: float, settings: Mapping[str, Any]) -> None:
        self._cluster = cluster
        self._timeout = timeout
        self._settings = settings
        self._is_open = False
        self._producer: Producer | None = None
        self._known: Sequence[str] = ()
        self._starting: asyncio.Task[Producer] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    def __str__(self) -> str:
        return str(self._cluster)

    async def open(self) -> None:
        """Connect.

        Raises:
            TransportUnavailable: no broker answers.
            TransportError: they refuse us.
        """
        self._is_open = True
        if self._producer is None:
            await self._replaced()

    async def close(self) -> None:
        """Wait a moment for what is in flight, and disconnect."""
        self._is_open = False
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting], timeout=_CLOSING)
        if self._producer is not None:
            self._end(self._producer, _CLOSING)
        if self._ending:  # one that hangs ends by itself, when its requests time out
            await asyncio.wait(self._ending, timeout=_CLOSING + 0.5)

    async def producer(self) -> Producer:
        """The producer to use now.

        Raises:
            TransportUnavailable: there is none, and none can be started.
        """
        if self._producer is not None:
            return self._producer
        if not self._is_open:
            raise TransportUnavailable(f"{self}: the transport is not open")
        try:
            return await self._replaced()
        except TransportUnavailable:
            raise
        except TransportError as error:  # it accepted us before, so it is gone for all messages
            raise TransportUnavailable(str(error)) from error

    async def _replaced(self) -> Producer:
        """A new producer in place of the old one, the same for all that ask meanwhile."""
        starting = self._starting
        if starting is None or starting.done():
            starting = self._starting = asyncio.create_task(self._start())
            starting.add_done_callback(_seen)
        await asyncio.wait([starting])
        if starting.cancelled():
            raise TransportUnavailable(f"{self}: the transport was closed")
        if isinstance(error := starting.exception(), TransportError):
            raise type(error)(str(error)) from error  # each caller gets its own
        return starting.result()

    async def _start(self) -> Producer:
        try:
            producer = Producer(
                self._cluster, self._timeout, self._settings, self._end, self._known
            )
        except InvalidArgument as error:  # a file for TLS that could be used before
            raise TransportUnavailable(str(error)) from error
        await producer.start()
        self._producer = producer
        return producer

    def _end(self, producer: Producer, patience: float | None = None) -> None:
        """End a producer, with so many seconds for what is in flight."""
        self._producer, self._known = None, producer.brokers()
        ending = producer.end(self._timeout if patience is None else patience)
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _seen(task: asyncio.Task[Producer]) -> None:
    """Read the error of a task even if nobody waits for it any more."""
    if not task.cancelled():
        task.exception()
