"""A connection to the first node that accepts us, and what the driver beneath it knows."""

import asyncio
import ssl
from typing import Any, Final, NamedTuple

import aiormq
import aiormq.abc
from aio_pika import Connection
from aiormq.connection import TCPTransportFactory, TLSTransportFactory, TransportFactory
from yarl import URL

from duly.errors import InvalidArgument, TransportUnavailable
from duly_rabbitmq.errors import is_refusal
from duly_rabbitmq.server import Server

__all__ = ["Line", "is_busy", "reach", "takes"]

_CONNECTING: Final = 10.0  # seconds, for one node
_WRITING: Final = 8  # messages for the driver to write; it has room for ten, answers included


class Wire(TransportFactory):
    """Connects as the driver does, and can drop the connection at once, which the driver cannot."""

    def __init__(self, *, encrypted: bool) -> None:
        self._beneath = TLSTransportFactory() if encrypted else TCPTransportFactory()
        self._writer: asyncio.StreamWriter | None = None

    async def create(
        self, url: URL, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, self._writer = await self._beneath.create(url, **options)
        return reader, self._writer

    def drop(self) -> None:
        """Drop the connection without telling the broker, so that nothing waits for an answer."""
        if self._writer is not None:
            self._writer.transport.abort()


class Line(NamedTuple):
    """A connection of aio-pika, the driver's beneath it, which knows more, and the bare one."""

    connection: Connection
    driver: aiormq.abc.AbstractConnection
    wire: Wire

    @property
    def is_blocked(self) -> bool:
        """Whether the broker has blocked the connection."""
        # The driver shows it by a coroutine that waits while the broker blocks us, and that ends
        # at its first step otherwise.
        first_step = self.driver.ready().__await__()
        try:
            next(first_step)
        except StopIteration:
            return False
        finally:
            first_step.close()
        return True

    async def hang_up(self) -> None:
        """Close both; it takes as long as the broker is silent, or until the wire is dropped."""
        # By itself the connection would wait for a callback; if the event loop ends meanwhile, that
        # never comes, and the program would not end.
        self.connection.transport = None
        await self.connection.close()
        await self.driver.close()


async def reach(server: Server) -> Line:
    """Connect to the nodes of a broker in turn, until one accepts us.

    Raises:
        TransportUnavailable: a file for TLS is missing by now, or holds something else.
        Exception: the driver's error from the node that refused us, or from the last.
    """
    errors: list[Exception] = []
    try:
        tls = server.context()  # read anew, since certificates are renewed
    except InvalidArgument as error:  # they could be used before
        raise TransportUnavailable(str(error)) from error
    for url in server.urls():
        try:
            return await _connect_to(url, tls)
        except Exception as error:  # noqa: BLE001  # whatever it is, another may be there
            errors.append(error)
    raise next(filter(is_refusal, errors), errors[-1])


def takes(channel: aiormq.Channel) -> bool:
    """Whether the broker has closed neither the channel nor the connection.

    The driver removes a channel before it answers the broker, and marks it as closed only later.
    """
    connection = channel.connection
    known = connection.channels.get(channel.number) is channel
    return known and connection.is_opened and not channel.is_closed


def is_busy(channel: aiormq.Channel) -> bool:
    """Whether the driver has enough to write, and will have written it soon."""
    return channel.connection.write_queue.qsize() >= _WRITING and takes(channel)


async def _connect_to(url: URL, tls: ssl.SSLContext | None) -> Line:
    connection, wire = Connection(url, ssl_context=tls), Wire(encrypted=tls is not None)
    connection.kwargs["transport_factory"] = wire
    connecting = asyncio.ensure_future(connection.connect())
    try:
        async with asyncio.timeout(_CONNECTING):
            await asyncio.shield(connecting)
    except BaseException:
        # In this order: a cancelled driver says goodbye to the broker, and waits for the answer.
        wire.drop()
        connecting.cancel()
        await asyncio.wait({connecting})
        await connection.close()  # or it would do so when it is collected
        raise
    if connection.transport is None:  # it closed in this moment
        raise ConnectionError("the connection is lost")
    return Line(connection, connection.transport.connection, wire)
