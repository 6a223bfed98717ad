"""How a connection is made: the hosts in turn, MQTT 5 first."""

import asyncio
import logging
import secrets
from contextlib import suppress
from ssl import SSLContext
from typing import Final

from duly.errors import InvalidArgument, TransportError, TransportUnavailable
from duly.transport import Envelope
from duly_mqtt.answers import Welcome
from duly_mqtt.connection import Connection
from duly_mqtt.errors import UNSUPPORTED_VERSION, away, refusal
from duly_mqtt.packets import QoS, Version
from duly_mqtt.server import Broker, shown
from duly_mqtt.unconfirmed import Flights, Outcome

__all__ = ["Dialer"]

log = logging.getLogger("duly.mqtt")

_LOST_WITH_OLD: Final = (
    "%s speaks no MQTT 5: with 3.1.1 headers and content type do not arrive, nor does the delivery "
    "id; the broker cannot refuse a message, nor say that nobody subscribes to it"
)


class Dialer:
    """Connects to a broker, again and again: one client with one id for all its connections.

    Raises:
        InvalidArgument: a file of TLS that is missing, or holds something else.
    """

    def __init__(self, broker: Broker, *, qos: QoS, retain: bool) -> None:
        self._broker = broker
        if broker.tls is not None:
            broker.tls.context()  # so that a file that cannot be used is an error here
        self._qos = qos
        self._retain = retain
        # It has a length and letters that every broker of 3.1.1 must accept.
        self._client_id = broker.client_id or f"duly{secrets.token_hex(8)}"
        self._flights = Flights(qos)
        self._clean = True
        self._told = False

    async def connect(self) -> Connection:
        """A connection that the broker has accepted.

        Raises:
            TransportUnavailable: none of the hosts can be reached, or is able to serve.
            TransportError: a broker refuses us, or a setting that we ask for.
        """
        errors: list[TransportError] = []
        for host, port in self._broker.places:
            try:
                return await self._try(host, port)
            except TransportError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        text = "; ".join(map(str, errors))
        refused = any(not isinstance(each, TransportUnavailable) for each in errors)
        raise (TransportError if refused else TransportUnavailable)(text) from errors[-1]

    def resumed(self, envelope: Envelope) -> Outcome | None:
        """The outcome of a message that was in flight when the connection before was lost."""
        return self._flights.resumed(envelope.delivery_id) if self._broker.session else None

    def forget(self) -> None:
        """The transport was closed for good: the next connection starts from nothing."""
        self._flights = Flights(self._qos)
        self._clean = True

    async def _try(self, host: str, port: int) -> Connection:
        version, place = self._broker.version, shown(host, port)
        connection = await self._dial(host, port, version or "5")
        welcome = connection.welcome.result()
        if version is None and welcome.answer.code == UNSUPPORTED_VERSION:
            connection.abort()
            connection = await self._dial(host, port, "3.1.1")
            welcome = connection.welcome.result()
            if not welcome.answer.code and not self._told:
                self._told = True
                with suppress(Exception):  # a log handler that raises must not leave it half made
                    log.warning(_LOST_WITH_OLD, place)
        try:
            self._judge(welcome, place)
        except TransportError:
            connection.abort()
            raise
        self._clean = not self._broker.session or connection.version != "5"
        return connection

    def _judge(self, welcome: Welcome, place: str) -> None:
        if welcome.answer.code:
            raise refusal(welcome.answer, place)
        if self._qos > welcome.maximum_qos:
            raise TransportError(f"{place} takes QoS {welcome.maximum_qos} at most")
        if self._retain and not welcome.retain_available:
            raise TransportError(f"{place} retains no messages")

    def _context(self) -> SSLContext | None:
        """The TLS context, from files that are read anew, since certificates are renewed."""
        try:
            return None if self._broker.tls is None else self._broker.tls.context()
        except InvalidArgument as error:  # they could be used before
            raise TransportUnavailable(str(error)) from error

    async def _dial(self, host: str, port: int, version: Version) -> Connection:
        context = self._context()
        connection = Connection(
            self._broker, version, self._client_id, self._flights, clean=self._clean, qos=self._qos
        )
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._broker.timeout.total_seconds()):
                await loop.create_connection(lambda: connection, host, port, ssl=context)
                await connection.welcome
        except (OSError, UnicodeError) as error:  # TimeoutError and ssl.SSLError are among them
            connection.abort()
            raise away(error, shown(host, port)) from error
        except BaseException:
            connection.abort()
            raise
        return connection
