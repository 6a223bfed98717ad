"""RabbitMQ beside aio-pika."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import aio_pika

from benchmarks.rivals import Missing, Rivals, opened
from duly.transport import Envelope
from duly_rabbitmq.plugin import transport_from_url as rabbitmq_from_url

QUEUE = "duly-benchmark"


@contextlib.asynccontextmanager
async def rabbitmq(url: str) -> AsyncIterator[Rivals]:
    """A durable queue and persistent messages, beside aio-pika and its outstanding confirms."""
    try:
        connection = await aio_pika.connect(url)
    except aio_pika.exceptions.AMQPConnectionError as error:
        raise Missing(str(error)) from None
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        queue = await channel.declare_queue(QUEUE, durable=True)

        async def one(envelope: Envelope) -> None:
            message = aio_pika.Message(
                envelope.payload,
                headers=dict(envelope.headers),
                message_id=envelope.delivery_id,
                type=envelope.event_name,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )
            await channel.default_exchange.publish(message, QUEUE)

        async def many(envelopes: Sequence[Envelope]) -> None:
            await asyncio.gather(*map(one, envelopes))

        try:
            async with opened(rabbitmq_from_url(f"{url}?routing_key={QUEUE}")) as transport:
                yield Rivals(transport, one, many)
        finally:
            await queue.delete(if_empty=False, if_unused=False)
