"""What is heard on a connection: answers to what was asked, and nothing else.

HTTP tells answers apart by their order alone. So one that comes unasked, as from a receiver that
answers a request twice, would be taken for the answer to the next request, and a message that
nobody got would count as delivered.
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
# After the heads that announce an answer (1xx), but for the one that is itself the last.
_STATUS: Final = re.compile(
    rb"(?:HTTP/1\.[01] 1(?!01)\d\d[ \r\n].*?\n\r?\n)*HTTP/1\.[01] (\d{3})[ \r\n]", re.DOTALL
)
_TURNS: Final = 5  # of the loop, within which it has read what lies in a socket


class NotSentError(aiohttp.ClientConnectionError):
    """A connection from the pool turned out to be of no use before anything was sent."""


class UnreadableAnswerError(aiohttp.ClientPayloadError):
    """An answer of which its status alone could be understood."""

    def __init__(self, status: int) -> None:
        super().__init__(f"an answer {status} that does not follow HTTP")
        self.status = status


class Listener(asyncio.Protocol):
    """Stands between a connection and aiohttp's reader for as long as the connection lives."""

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
        """The one of a connection on which nothing has been heard unasked.

        Raises:
            NotSentError: something has been, or the receiver has hung up, since it was used.
            ServerDisconnectedError: the same of a connection that is new.
        """
        reader, transport = connection.protocol, connection.transport
        if reader is None or transport is None:
            raise NotSentError
        listener = transport.get_protocol()
        useless: type[aiohttp.ClientConnectionError] = NotSentError
        if not isinstance(listener, cls):
            listener = cls(reader, transport)
            transport.set_protocol(listener)
            useless = aiohttp.ServerDisconnectedError  # so would be the next one
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
        """The status of the answer, as far as one was heard."""
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
        """The receiver takes no more for now; it has as long as it may be silent."""
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
    """One that is sent only where its answer can be told from others."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        (await Listener.at(conn)).ask(conn)
        return await super().send(conn)


class Answer(aiohttp.ClientResponse):
    """One whose status counts, however broken the rest is."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        listener = connection.transport and connection.transport.get_protocol()
        try:
            return await super().start(connection)
        except aiohttp.ClientResponseError as error:
            status = listener.status() if isinstance(listener, Listener) else None
            if status is None:
                raise
            raise UnreadableAnswerError(status) from error
