"""Accepts from a connection only answers to its requests.

HTTP matches answers to requests only by their order. So an answer that comes unasked, as from a
receiver that answers a request twice, would be taken for the answer to the next request, and a
message that nobody got would count as delivered.
"""

import asyncio
import re
import select
from typing import Final, Self

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

__all__ = ["Answer", "NotSentError", "Request", "UnreadableAnswerError"]

_KEPT: Final = 16384  # bytes of an answer in which its status is looked for
# After the heads that announce an answer (1xx), except 101, which is itself the last.
_STATUS: Final = re.compile(
    rb"(?:HTTP/1\.[01] 1(?!01)\d\d[ \r\n].*?\n\r?\n)*HTTP/1\.[01] (\d{3})[ \r\n]", re.DOTALL
)
_TURNS: Final = 5  # of the event loop, within which it has read what waits in a socket


class NotSentError(aiohttp.ClientConnectionError):
    """A connection from the pool turned out to be unusable before anything was sent."""


class UnreadableAnswerError(aiohttp.ClientPayloadError):
    """An answer of which only the status could be parsed."""

    def __init__(self, status: int) -> None:
        super().__init__(f"an answer {status} that does not follow HTTP")
        self.status = status


class Listener(asyncio.Protocol):
    """Sits between a connection and aiohttp's reader as long as the connection lives."""

    def __init__(self, reader: ResponseHandler, transport: asyncio.Transport) -> None:
        self._reader = reader
        self._transport = transport
        self._unread = select.poll()
        self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)
        self._asked = False
        self._heard = b""
        self._stuck: asyncio.TimerHandle | None = None

    @classmethod
    async def at(cls, connection: Connection) -> Self:
        """The listener of a connection on which nothing has come unasked.

        Raises:
            NotSentError: something has come, or the receiver has closed it, since it was used.
            ServerDisconnectedError: the same for a new connection.
        """
        reader, transport = connection.protocol, connection.transport
        if reader is None or transport is None:
            raise NotSentError
        listener = transport.get_protocol()
        useless: type[aiohttp.ClientConnectionError] = NotSentError
        if not isinstance(listener, cls):
            listener = cls(reader, transport)
            transport.set_protocol(listener)
            useless = aiohttp.ServerDisconnectedError  # the next one would be no better
        for _ in range(_TURNS):
            if transport.is_closing():
                raise useless
            if not listener._unread.poll(0):
                return listener
            await asyncio.sleep(0)
        raise useless

    def ask(self, connection: Connection) -> None:
        """From now on until the connection is given back, what comes is an answer."""
        self._asked, self._heard = True, b""
        connection.add_callback(self._answered)

    def status(self) -> int | None:
        """The status of the answer, if one has come."""
        found = _STATUS.match(self._heard)
        return None if found is None else int(found[1])

    def data_received(self, data: bytes) -> None:
        if not self._asked:
            self._transport.abort()
            return
        if len(self._heard) < _KEPT:
            self._heard += data[:_KEPT]
        self._reader.data_received(data)

    def eof_received(self) -> None:
        self._reader.eof_received()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._moves()
        self._reader.connection_lost(exc)

    def pause_writing(self) -> None:
        """The receiver takes no more for now; it may do so as long as it may be silent."""
        if patience := self._reader.read_timeout:
            loop = asyncio.get_running_loop()
            self._stuck = loop.call_later(patience, self._give_up)
        self._reader.pause_writing()

    def resume_writing(self) -> None:
        self._moves()
        self._reader.resume_writing()

    def _moves(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def _give_up(self) -> None:
        self._reader.set_exception(aiohttp.SocketTimeoutError("the request is not read in time"))
        self._transport.abort()  # closing would wait for the rest to be sent

    def _answered(self) -> None:
        self._asked = False
        if self._stuck is not None:
            self._transport.abort()


class Request(aiohttp.ClientRequest):
    """A request that is sent only if its answer can be told from others."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        (await Listener.at(conn)).ask(conn)
        return await super().send(conn)


class Answer(aiohttp.ClientResponse):
    """An answer whose status counts, however broken the rest is."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        listener = connection.transport and connection.transport.get_protocol()
        try:
            return await super().start(connection)
        except aiohttp.ClientResponseError as error:
            status = listener.status() if isinstance(listener, Listener) else None
            if status is None:
                raise
            raise UnreadableAnswerError(status) from error
