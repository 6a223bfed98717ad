"""The transport: one PUBLISH for each message, accepted when the broker acknowledges it."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final, Literal, TypeAlias

from duly.errors import InvalidArgument, Rejected, TransportError, TransportUnavailable
from duly.transport import Envelope, Limits
from duly.url import expect
from duly_mqtt.connection import CLOSED, Connection
from duly_mqtt.content import properties_of, topic_template
from duly_mqtt.dialing import Dialer
from duly_mqtt.errors import verdict
from duly_mqtt.packets import QoS
from duly_mqtt.properties import MalformedPacketError
from duly_mqtt.server import Broker, check_seconds
from duly_mqtt.unconfirmed import Outcome

__all__ = ["MqttTransport", "Unmatched"]

Unmatched: TypeAlias = Literal["fail", "accept"]

log = logging.getLogger("duly.mqtt")

_UNKNOWN: Final = Limits()
_NOTHING_ACKNOWLEDGES: Final = (
    "%s: with QoS 0 nothing acknowledges a message: what the broker does not get is lost"
)


class MqttTransport:
    """Publishes each message to a topic; accepted is what the broker acknowledges.

    That is PUBACK with ``qos`` 1 and PUBCOMP with 2; with 0 nothing acknowledges a message, which
    counts as accepted when it was handed to the connection. MQTT has no receipts.

    ``topic`` may hold ``{event_name}``. With ``retain`` the broker keeps the last message of
    a topic for later subscribers. ``expiry`` is how long it keeps a message for subscribers that
    are away, in whole seconds; with None the broker decides. ``unmatched`` is what becomes of a
    message that nobody subscribes to: ``"fail"`` is a failed attempt, unless it is retained.

    Raises:
        InvalidArgument: a topic that is not valid, or a value that MQTT does not allow.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        topic: str = "{event_name}",
        qos: QoS = 1,
        retain: bool = False,
        expiry: timedelta | None = None,
        unmatched: Unmatched = "fail",
    ) -> None:
        expect(broker, Broker, taker="MqttTransport")
        if qos not in (0, 1, 2):
            raise InvalidArgument(f"qos: it is 0, 1 or 2, not {qos!r}")
        if unmatched not in ("fail", "accept"):
            raise InvalidArgument(f"unmatched: it is fail or accept, not {unmatched!r}")
        if expiry is not None:
            check_seconds("expiry", expiry, bits=32)
        self._broker = broker
        self._topic = topic_template(topic)
        self._qos = qos
        self._retain = retain
        self._expiry = expiry
        self._must_match = unmatched == "fail" and not retain
        self._dialer = Dialer(broker, qos=qos, retain=retain)
        self._connection: Connection | None = None
        self._attempt: asyncio.Task[Connection] | None = None
        self._is_open = False

    def __repr__(self) -> str:
        return f"MqttTransport({self._broker}, {self._topic!r})"

    async def open(self) -> None:
        await self._connected()
        if not self._is_open and not self._qos:
            with suppress(Exception):  # a log handler that raises is no reason to stay closed
                log.warning(_NOTHING_ACKNOWLEDGES, self._broker)
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        attempt, self._attempt = self._attempt, None
        if attempt is not None:
            attempt.cancel()
            await asyncio.wait([attempt])
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
        self._dialer.forget()

    async def check(self) -> Sequence[str]:
        try:
            await self._ready()
        except TransportError as error:
            return [str(error)]
        return []

    def limits(self) -> Limits:
        """As many as the broker takes unacknowledged, which it tells when we connect."""
        return _UNKNOWN if self._connection is None else self._connection.limits

    async def publish(self, envelope: Envelope) -> None:
        outcome, topic = await self._send(envelope)
        await self._judge(outcome, topic)

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        sent: list[tuple[Outcome, str] | TransportError] = []
        gone: TransportUnavailable | None = None
        for envelope in envelopes:
            try:
                sent.append(gone or await self._send(envelope))
            except TransportUnavailable as error:
                gone = error  # the rest need not try
                sent.append(error)
            except TransportError as error:
                sent.append(error)
        outcomes: list[TransportError | None] = []
        for each in sent:
            if isinstance(each, TransportError):
                outcomes.append(each)
                continue
            try:
                await self._judge(*each)
            except TransportError as error:
                outcomes.append(error)
            else:
                outcomes.append(None)
        return outcomes

    async def _send(self, envelope: Envelope) -> tuple[Outcome, str]:
        """Send it; its outcome comes later."""
        topic = self._topic.fill(envelope.event_name)
        connection = await self._ready()
        if not connection.alive:  # a resumed message would wait for the next connection
            raise connection.lost()
        if (outcome := self._dialer.resumed(envelope)) is not None:
            return outcome, topic
        properties = b""
        if connection.version == "5":
            try:
                properties = properties_of(
                    envelope, name=not self._topic.varies, expiry=self._expiry
                )
            except MalformedPacketError as error:
                raise Rejected(f"{topic}: a header of {error}") from error
        return await connection.send(envelope, topic, properties, retain=self._retain), topic

    async def _judge(self, outcome: Outcome, topic: str) -> None:
        answer = await outcome
        if isinstance(answer, str):
            raise TransportUnavailable(answer)
        error = verdict(answer, topic, must_match=self._must_match)
        if error is not None:
            raise error

    async def _ready(self) -> Connection:
        """The connection, made anew if it was lost. A broker that refuses us counts as away."""
        if not self._is_open:
            raise TransportUnavailable(f"{self._broker}: the transport is not open")
        try:
            return await self._connected()
        except TransportUnavailable:
            raise
        except TransportError as error:
            raise TransportUnavailable(str(error)) from error

    async def _connected(self) -> Connection:
        """The present connection, or the one attempt to make one that all wait for."""
        if self._connection is not None and self._connection.alive:
            return self._connection
        if self._attempt is None:
            self._attempt = asyncio.create_task(self._connect())
            self._attempt.add_done_callback(self._attempted)
        attempt = self._attempt
        try:
            return await asyncio.shield(attempt)
        except TransportError as error:  # each waiter raises an error of its own
            raise type(error)(str(error)) from error
        except asyncio.CancelledError:
            if attempt.cancelled() and not _cancelled():
                raise TransportUnavailable(f"{self._broker}: {CLOSED}") from None
            raise

    async def _connect(self) -> Connection:
        self._connection = await self._dialer.connect()
        return self._connection

    def _attempted(self, attempt: asyncio.Task[Connection]) -> None:
        if self._attempt is attempt:
            self._attempt = None
        if not attempt.cancelled():
            attempt.exception()  # perhaps nobody waits for it any more


def _cancelled() -> bool:
    """Whether the current task itself was cancelled, and not only what it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
