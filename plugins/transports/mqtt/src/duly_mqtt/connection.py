"""One connection to a broker, from CONNECT to its end."""

import asyncio
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from typing import Final, cast

from duly.errors import Rejected, TransportUnavailable
from duly.transport import Envelope, Limits, waiting
from duly_mqtt.answers import Answer, Kind, Splitter, Welcome, answer_of, goodbye_of, welcome_of
from duly_mqtt.errors import told
from duly_mqtt.keepalive import KeepAlive
from duly_mqtt.packets import PING, QoS, Version, connect, disconnect, publish, pubrel
from duly_mqtt.promptness import acknowledge_at_once
from duly_mqtt.properties import MalformedPacketError
from duly_mqtt.server import Broker
from duly_mqtt.unconfirmed import Flights, Outcome
from duly_mqtt.upload import Upload

__all__ = ["CLOSED", "Connection"]

CLOSED: Final = "the transport was closed"

_LEAVING: Final = 2.0  # seconds for what is still to be sent when it closes
_SUCCESS: Final = Answer(0)


class Connection(asyncio.Protocol):
    """Sends packets, hands the broker's answers to those who wait, and keeps the connection alive.

    ``clean``: the broker forgets what it kept of an earlier connection.
    """

    def __init__(
        self, broker: Broker, version: Version, client_id: str, flights: Flights, *, clean: bool,
        qos: QoS,
    ) -> None:  # fmt: skip
        self.version: Final = version
        self.welcome: asyncio.Future[Welcome] = asyncio.get_running_loop().create_future()
        self._broker = broker
        self._qos = qos
        self._clean = clean or version != "5"
        self._hello = connect(
            version, client_id=client_id, username=broker.username, password=broker.password,
            keepalive=int(broker.keepalive.total_seconds()), clean=self._clean,
            session=int(broker.session.total_seconds()),
        )  # fmt: skip
        self._session = version == "5" and bool(broker.session)
        self._flights = flights
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None
        self._place = str(broker)
        self._free = asyncio.Semaphore(0)
        self._again: Iterator[bytes] = iter(())
        self._writable = asyncio.Event()
        self._writable.set()
        self._ended = asyncio.Event()
        self._limits = Welcome(_SUCCESS)
        self.limits = Limits()
        self._written = 0
        self._keepalive = KeepAlive(lambda: self._write(PING), self.abort, self._upload)
        self._why = ""
        self._closing = self._stands = self._is_over = False

    @property
    def alive(self) -> bool:
        """Whether the broker has accepted it and it has not ended since."""
        return self._stands and not (self._transport is None or self._transport.is_closing())

    async def send(
        self, envelope: Envelope, topic: str, properties: bytes, *, retain: bool
    ) -> Outcome:
        """Send a PUBLISH as soon as the broker takes one more; its answer comes later.

        Raises:
            Rejected: it is larger than the broker, or MQTT itself, takes.
            TransportUnavailable: the connection was lost before it was sent.
        """
        with waiting() if self._free.locked() else nullcontext():
            await self._free.acquire()
        try:
            await self._passable()
            packet, outcome = self._start(envelope, topic, properties, retain)
        except BaseException:
            self._free.release()
            raise
        self._write(packet)
        if not self._qos:
            self._free.release()
            outcome.set_result(_SUCCESS)
            await self._passable()
        return outcome

    async def _passable(self) -> None:
        """Wait until all that was written has left, or the connection is lost."""
        await self._writable.wait()
        if not self.alive:
            raise self.lost()

    def _start(
        self, envelope: Envelope, topic: str, properties: bytes, retain: bool
    ) -> tuple[bytes, Outcome]:
        def make(id: int) -> bytes:
            packet = publish(
                topic, envelope.payload, id=id, qos=self._qos, retain=retain, properties=properties
            )
            largest = self._limits.maximum_packet_size
            if largest is not None and len(packet) > largest:
                raise MalformedPacketError(
                    f"a packet of {len(packet)} bytes, of which the broker takes {largest}"
                )
            return packet

        try:
            if self._qos:
                return self._flights.start(envelope.delivery_id, make)
            return make(0), asyncio.get_running_loop().create_future()
        except MalformedPacketError as error:
            raise Rejected(f"{topic[:255]}: {error}") from error

    def lost(self) -> TransportUnavailable:
        """The error for messages that were in flight when it was lost."""
        return TransportUnavailable(f"{self._place}: {self._why or 'the connection was lost'}")

    async def close(self) -> None:
        """Send DISCONNECT when all is sent; cut the connection if that takes long."""
        if self._transport is None:
            return
        if self.alive:
            self._write(disconnect(self.version, session=self._session))
        self._closing = True
        self._why = self._why or CLOSED
        self._transport.close()
        try:
            async with asyncio.timeout(_LEAVING):
                await self._ended.wait()
        except TimeoutError:
            pass
        finally:
            self.abort()

    def abort(self, why: str = "") -> None:
        """Cut the connection at once."""
        self._over(why)
        if self._transport is not None and not self._ended.is_set():
            self._transport.abort()

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._write(self._hello)

    def connection_lost(self, exc: Exception | None) -> None:
        self._over(f"the connection was lost: {exc or 'the broker closed it'}")
        self._ended.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._keepalive.heard()
        if self._transport is not None:
            acknowledge_at_once(self._transport)
        try:
            for kind, content in self._splitter.feed(data):
                self._take(kind, content)
        except MalformedPacketError as error:
            self.abort(f"the broker sent {error}")

    # --- what the broker says

    def _take(self, kind: Kind, content: bytes) -> None:
        if not self.welcome.done():
            if kind != Kind.CONNACK:
                raise MalformedPacketError("something else before CONNACK")
            self._welcomed(welcome_of(content, self.version))
        elif kind == Kind.PUBACK:
            if self._flights.acknowledged(*answer_of(content)):
                self._proceed()
        elif kind == Kind.PUBCOMP:
            if self._flights.completed(*answer_of(content)):
                self._proceed()
        elif kind == Kind.PUBREC:
            id, answer = answer_of(content)
            if self._flights.received(id, answer):
                self._write(pubrel(id))
            else:
                self._proceed()
        elif kind == Kind.DISCONNECT:
            self.abort(f"the broker ended the connection: {told(goodbye_of(content))}")

    def _welcomed(self, welcome: Welcome) -> None:
        """The broker has accepted the connection or refused it; others judge a refusal."""
        self._limits = welcome
        if welcome.answer.code == _SUCCESS.code:
            if welcome.session_present and self._clean:
                raise MalformedPacketError("a session that it was told to forget")
            if not welcome.session_present:
                self._flights.forget()
            most = self._broker.inflight
            if self._qos:  # the broker's limit counts unacknowledged messages
                most = min(most, welcome.receive_maximum)
            self._again = self._flights.resume()
            for packet in islice(self._again, most):
                self._write(packet)
            self._free = asyncio.Semaphore(max(0, most - len(self._flights)))
            self.limits, self._stands = Limits(in_all=max(1, most)), True
            theirs = welcome.keepalive  # the broker's value has precedence
            ours = self._broker.keepalive.total_seconds()
            self._keepalive.start(ours if theirs is None else theirs)
        self.welcome.set_result(welcome)

    def _proceed(self) -> None:
        """A message is answered: send the next, first those left by the connection before."""
        if (packet := next(self._again, None)) is not None:
            self._write(packet)
        else:
            self._free.release()

    def _write(self, packet: bytes) -> None:
        if self._transport is not None:
            self._transport.write(packet)
            self._written += len(packet)

    def _upload(self) -> Upload:
        if self._transport is None:
            return Upload(waits=False, gone=0)
        return Upload.of(self._transport, self._written)

    def _over(self, why: str) -> None:
        """The connection has ended; those who wait are told at once, and only once."""
        if self._is_over:
            return
        self._is_over = True
        self._why = self._why or why
        self._keepalive.stop()
        if not self.welcome.done():
            self.welcome.set_exception(ConnectionResetError(self._why))
            self.welcome.exception()  # perhaps nobody waits for it any more
        if self._stands:
            # When it is closed for good, messages in flight must be published again.
            keep = self._session and not self._closing
            self._flights.lose(str(self.lost()), keep=keep)
        self._writable.set()
        self._free.release()  # a waiting publish wakes, sees that it is over, and wakes the next
