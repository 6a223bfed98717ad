"""Kafka beside aiokafka."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from benchmarks.rivals import Missing, Rivals, opened
from duly.transport import Envelope
from duly_kafka.plugin import transport_from_url as kafka_from_url


@contextlib.asynccontextmanager
async def kafka(url: str) -> AsyncIterator[Rivals]:
    """A topic of its own, beside aiokafka's idempotent producer.

    Where there is no Kafka, ``python tests/servers/kafka_mock.py 1`` tells the address of one.
    """
    topic = f"duly-benchmark-{time.time_ns()}"
    servers = url.removeprefix("kafka://")
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=servers)
    try:
        await consumer.start()  # which makes the topic, where topics are made on demand
    except KafkaError as error:
        raise Missing(str(error)) from None
    finally:
        await consumer.stop()
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", enable_idempotence=True)
    await producer.start()

    def sent(envelope: Envelope) -> Awaitable[Awaitable[object]]:
        headers = [(name, text.encode()) for name, text in envelope.headers.items()]
        key = envelope.delivery_id.encode()
        sending: Awaitable[Awaitable[object]] = producer.send(
            topic, envelope.payload, key, headers=headers
        )
        return sending

    async def one(envelope: Envelope) -> None:
        await (await sent(envelope))

    async def many(envelopes: Sequence[Envelope]) -> None:
        await asyncio.gather(*[await sent(envelope) for envelope in envelopes])

    async with opened(kafka_from_url(f"{url}?topic={topic}")) as transport:
        yield Rivals(transport, one, many)
    await producer.stop()
