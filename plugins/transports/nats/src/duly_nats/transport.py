"""What both transports share: one connection, made again when it is lost, and its publishes."""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from duly.errors import DulyError, InvalidArgument, Rejected, TransportError, TransportUnavailable
from duly.tls import TLS
from duly.transport import Envelope
from duly_nats.connection import Connection
from duly_nats.content import headers_of, size_of
from duly_nats.login import NOBODY, Login
from duly_nats.subjects import Subjects
from duly_nats.unconfirmed import Answer

__all__ = ["ServersTransport"]

_INBOX_PREFIX: Final = re.compile(r"[\w-]+(\.[\w-]+)*", re.ASCII)


class ServersTransport(ABC):
    """Publishes to the first of some servers, ``host:port`` each, that takes the connection.

    ``subject`` may hold ``{event_name}``. ``timeout`` is how long an answer may take until the
    attempt has failed. ``inbox_prefix`` begins the subjects of answers, for users that may not
    listen everywhere.

    Raises:
        InvalidArgument: no server, a subject that is not valid, or a time that is not above 0.
    """

    def __init__(
        self,
        servers: Sequence[str],
        *,
        subject: str = "{event_name}",
        login: Login = NOBODY,
        tls: TLS | None = None,
        timeout: timedelta = timedelta(seconds=5),
        inbox_prefix: str = "_INBOX",
    ) -> None:
        if isinstance(servers, str) or not servers or any("://" in each for each in servers):
            raise InvalidArgument("servers: a list of host:port, at least one")
        if timeout <= timedelta(0):
            raise InvalidArgument("timeout has to be above 0")
        if not _INBOX_PREFIX.fullmatch(inbox_prefix) or len(inbox_prefix) > 200:
            raise InvalidArgument("inbox_prefix: words with full stops between them")
        if tls is not None:
            tls.context()  # so that a file that cannot be used is an error here
        self._servers = tuple(servers)
        self._subjects = Subjects(subject)
        self._login = login
        self._tls = tls
        self._timeout = timeout.total_seconds()
        self._inbox_prefix = inbox_prefix
        self._others: Sequence[str] = ()  # servers of the same cluster, as one has named them
        self._opened = False
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._servers)})"

    @abstractmethod
    def _make_connection(self, place: str) -> Connection:
        """A connection that is not connected yet."""

    # --- the contract

    async def open(self) -> None:
        await self._connected()
        self._opened = True

    async def close(self) -> None:
        self._opened = False
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            connecting.cancel()
            await asyncio.wait([connecting])
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def publish(self, envelope: Envelope) -> str | None:
        connection = await self._usable()
        answer = await self._send(connection, envelope)
        return await self._outcome(connection, envelope, answer)

    async def publish_many(
        self, envelopes: Sequence[Envelope]
    ) -> Sequence[str | TransportError | None]:
        try:
            connection = await self._usable()
        except TransportUnavailable as error:
            return [error] * len(envelopes)
        sent: list[Answer | TransportError] = []
        try:
            for envelope in envelopes:
                try:
                    sent.append(await self._send(connection, envelope))
                except TransportError as error:
                    sent.append(error)
            if answers := [each for each in sent if isinstance(each, asyncio.Future)]:
                await asyncio.wait(answers)
        except asyncio.CancelledError:
            for each in sent:
                if isinstance(each, asyncio.Future):
                    each.cancel()  # nobody will read its result
            raise
        return [
            each
            if isinstance(each, TransportError)
            else await self._caught(connection, envelope, each)
            for envelope, each in zip(envelopes, sent, strict=True)
        ]

    async def check(self) -> Sequence[str]:
        if not self._opened:
            return []
        try:
            connection = await self._usable()
        except TransportUnavailable as error:
            return [str(error)]
        if not await connection.alive():
            return [connection.lost() or "no answer"]
        return await connection.flaws()

    # --- one message

    def _headers(self, envelope: Envelope) -> dict[str, str]:
        return headers_of(envelope, named=self._subjects.varies)

    async def _send(self, connection: Connection, envelope: Envelope) -> Answer:
        headers = self._headers(envelope)
        size, most = size_of(headers) + len(envelope.payload), connection.client.max_payload
        if size > most:
            raise Rejected(
                f"{connection.place} takes {most} bytes, headers included; these are {size}"
            )
        return await connection.send(self._subjects(envelope.event_name), envelope.payload, headers)

    async def _outcome(
        self, connection: Connection, envelope: Envelope, answer: Answer
    ) -> str | None:
        try:
            return await answer
        except TransportError as error:
            told = await connection.explain(error, self._subjects(envelope.event_name))
            if told is error:
                raise
            raise told from error

    async def _caught(
        self, connection: Connection, envelope: Envelope, answer: Answer
    ) -> str | TransportError | None:
        try:
            return await self._outcome(connection, envelope, answer)
        except TransportError as error:
            return error

    # --- the connection

    async def _usable(self) -> Connection:
        if not self._opened:
            raise TransportUnavailable(f"{self!r} is not open")
        try:
            return await self._connected()
        except TransportUnavailable:
            raise
        except DulyError as error:  # a login that was accepted when it was opened
            raise TransportUnavailable(str(error)) from error

    async def _connected(self) -> Connection:
        """The connection, made anew if it was lost; all who want it wait for the same attempt."""
        if self._connection is not None and self._connection.lost() is None:
            return self._connection
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._end_connecting)
        connecting = self._connecting
        await asyncio.wait([connecting])  # a cancelled caller leaves it running for the others
        if connecting.cancelled():
            raise TransportUnavailable(f"{self!r} was closed")
        return connecting.result()

    def _end_connecting(self, connecting: asyncio.Task[Connection]) -> None:
        if self._connecting is connecting:
            self._connecting = None
        if not connecting.cancelled():
            connecting.exception()  # those who waited may have been cancelled

    async def _connect(self) -> Connection:
        if (lost := self._connection) is not None:
            self._others = lost.others()
            await lost.close()  # closing the transport meanwhile waits for this
            self._connection = None
        errors: list[TransportError] = []
        for place in dict.fromkeys((*self._servers, *self._others)):
            connection = self._make_connection(place)
            try:
                await connection.connect(self._login, self._tls)
            except TransportError as error:
                errors.append(error)
            else:
                self._connection = connection
                return connection
        refusals = [each for each in errors if not isinstance(each, TransportUnavailable)]
        kind = TransportError if refusals else TransportUnavailable
        raise kind("; ".join(map(str, errors))) from errors[0]
