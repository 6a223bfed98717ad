"""The transport: each message is published to an exchange, and confirmed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType

from aio_pika import Message
from aio_pika.exceptions import ChannelClosed

from duly.errors import InvalidArgument, Rejected, TransportError
from duly.template import Template
from duly.transport import Envelope
from duly.url import expect
from duly_rabbitmq.connection import Link
from duly_rabbitmq.content import SHORT, fits, message_of
from duly_rabbitmq.errors import translating
from duly_rabbitmq.exchange import Exchange
from duly_rabbitmq.filling import Filling
from duly_rabbitmq.server import Server

__all__ = ["RabbitMQTransport"]


class RabbitMQTransport:
    """Publishes each message to an exchange; accepted is what the broker has confirmed.

    A message that no queue takes is Rejected. ``exchange`` is a name, by default the broker's
    own exchange, which hands a message to the queue that its routing key names; with ``declare``,
    a kind of exchange such as ``"topic"``, it is declared, durable. ``routing_key`` is a template
    that may hold ``{event_name}``. Messages are ``persistent`` unless it is False. ``timeout`` is
    how long a confirmation may take until the attempt has failed. ``max_message_size``, in bytes,
    is for a broker whose own limit is not the default of its version. ``headers`` and
    ``properties`` are templates by name that may hold ``{event_name}``, ``{delivery_id}`` and
    ``{message_id}``, for consumers that need more than duly sends.

    Raises:
        InvalidArgument: a template that can never be right, an exchange that cannot be declared,
            a header or property that cannot be set, or a number below 1.
    """

    def __init__(
        self,
        server: Server,
        *,
        exchange: str = "",
        declare: str | None = None,
        routing_key: str = "{event_name}",
        headers: Mapping[str, str] = MappingProxyType({}),
        properties: Mapping[str, str] = MappingProxyType({}),
        persistent: bool = True,
        timeout: timedelta = timedelta(seconds=15),
        max_message_size: int | None = None,
    ) -> None:
        expect(server, Server, taker="RabbitMQTransport")
        if timeout <= timedelta(0) or (max_message_size is not None and max_message_size < 1):
            raise InvalidArgument("timeout and max_message_size have to be above 0")
        self._exchange = exchange
        self._routing_key = Template(routing_key, option="routing_key")
        if not fits(self._routing_key.fill("")):
            raise InvalidArgument(f"routing_key: it has at most {SHORT} bytes")
        self._filling = Filling(headers, properties)
        self._persistent = persistent
        self._timeout = timeout.total_seconds()
        self._under_way: dict[str, asyncio.Future[None]] = {}
        self._link = Link(server, Exchange(exchange, declare), max_message_size)

    def __repr__(self) -> str:
        return f"RabbitMQTransport({self._link.shown}, exchange={self._exchange!r})"

    async def open(self) -> None:
        await self._link.open()

    async def close(self) -> None:
        await self._link.close()

    async def publish(self, envelope: Envelope) -> None:
        message = message_of(envelope, persistent=self._persistent)
        self._filling.into(message, envelope)
        routing_key = self._routing_key.fill(envelope.event_name)
        if not fits(routing_key):
            raise Rejected(f"its routing key is longer than {SHORT} bytes")
        # The driver recognises returned messages only by message id, so one after the other.
        id = str(message.message_id)
        while (earlier := self._under_way.get(id)) is not None:
            await asyncio.wait({earlier})
        self._under_way[id] = done = asyncio.get_running_loop().create_future()
        try:
            with translating(self._link.shown, unknown=TransportError):
                await self._send(message, routing_key)
        finally:
            del self._under_way[id]
            done.set_result(None)

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[BaseException | None]:
        # All are written before the first is confirmed; the broker confirms many at once.
        return await asyncio.gather(*map(self.publish, envelopes), return_exceptions=True)

    async def check(self) -> Sequence[str]:
        try:
            await self._link.channel()
            await self._link.ask()
        except TransportError as error:
            return [str(error)]
        return []

    async def _send(self, message: Message, routing_key: str) -> None:
        properties = message.properties
        channel = await self._link.channel()
        self._link.limits.check(message)
        try:
            await channel.basic_publish(
                message.body,
                exchange=self._exchange,
                routing_key=routing_key,
                properties=properties,
                mandatory=True,
                timeout=self._timeout,
                wait=False,
            )
        except ChannelClosed as error:
            # If the broker named a limit, this happens only once: the next such one is not sent.
            self._link.learn_from(error)
            self._link.limits.check(message)
            raise
        except asyncio.CancelledError:
            self._link.retire(channel)
            raise
        except TimeoutError:
            self._link.retire(channel)
            self._link.check_blocked()
            await self._link.ask()
            raise TransportError(
                f"{self._link.shown} has not confirmed it in {self._timeout} s"
            ) from None
