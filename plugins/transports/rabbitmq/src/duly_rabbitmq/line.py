"""A connection to the first node that lets us in, and what the driver beneath it knows."""

import ssl
from typing import Final, NamedTuple

import aiormq
import aiormq.abc
from aio_pika import Connection
from yarl import URL

from duly_rabbitmq.errors import DRIVER_ERRORS, is_refusal
from duly_rabbitmq.server import Server

__all__ = ["Line", "is_busy", "reach", "takes"]

_CONNECTING: Final = 10.0  # seconds, for one node
_WRITING: Final = 8  # messages for the driver to write; it has room for ten, answers included


class Line(NamedTuple):
    """A connection, and the driver's own beneath it, which knows more."""

    connection: Connection
    driver: aiormq.abc.AbstractConnection

    @property
    def is_blocked(self) -> bool:
        """Whether the broker has asked for silence."""
        # The driver tells it by a coroutine that waits while the broker blocks us, and that ends
        # at its first step where it does not.
        first_step = self.driver.ready().__await__()
        try:
            next(first_step)
        except StopIteration:
            return False
        finally:
            first_step.close()
        return True

    async def hang_up(self) -> None:
        """Close both; it may take as long as the broker is silent."""
        # Left to itself the connection would wait for a call back that does not come when the
        # event loop ends meanwhile, and with it the program would not.
        self.connection.transport = None
        await self.connection.close()
        await self.driver.close()


async def reach(server: Server, tls: ssl.SSLContext | None) -> Line:
    """Connect to the nodes of a broker in turn, until one lets us in.

    Raises:
        Exception: what the driver says of the one that refused us, or of the last.
    """
    errors: list[Exception] = []
    for url in server.urls():
        try:
            return await _connect_to(url, tls)
        except DRIVER_ERRORS as error:
            errors.append(error)
    raise next(filter(is_refusal, errors), errors[-1])


def takes(channel: aiormq.Channel) -> bool:
    """Whether the broker has closed neither the channel nor the connection.

    The driver strikes a channel off before it answers the broker; closed it is a little later.
    """
    connection = channel.connection
    known = connection.channels.get(channel.number) is channel
    return known and connection.is_opened and not channel.is_closed


def is_busy(channel: aiormq.Channel) -> bool:
    """Whether the driver has enough to write, and will have written it soon."""
    return channel.connection.write_queue.qsize() >= _WRITING and takes(channel)


async def _connect_to(url: URL, tls: ssl.SSLContext | None) -> Line:
    connection = Connection(url, ssl_context=tls)
    try:
        await connection.connect(timeout=_CONNECTING)
    except BaseException:
        await connection.close()  # or it would do so when it is collected
        raise
    if connection.transport is None:  # it closed in this moment
        raise ConnectionError("the connection is lost")
    return Line(connection, connection.transport.connection)
