"""Records handed over to aiokafka, in batches with others or each in one of its own."""

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.partitioner import DefaultPartitioner

from duly.errors import Rejected
from duly_kafka.content import Record

__all__ = ["send", "send_alone"]

_partition_of: Final = DefaultPartitioner()


async def send(driver: AIOKafkaProducer, record: Record) -> asyncio.Future[Any]:
    """A future that is done when the record is confirmed; sent in a batch with others.

    Raises:
        Rejected: it is larger than a request may be.
    """
    topic, key, value, headers = record
    try:
        found: asyncio.Future[Any] = await driver.send(topic, value, key, headers=headers)
    except MessageSizeTooLargeError as error:
        raise Rejected(f"{topic}: {error}") from error
    return found


async def send_alone(driver: AIOKafkaProducer, record: Record) -> asyncio.Future[Any]:
    """The same, sent in a batch of its own to the same partition."""
    topic, key, value, headers = record
    known = driver.client.cluster
    partition = _partition_of(
        key,
        list(known.partitions_for_topic(topic)),
        list(known.available_partitions_for_topic(topic)),
    )
    batch = driver.create_batch()
    batch.append(timestamp=None, key=key, value=value, headers=headers)
    batch.close()
    found: asyncio.Future[Any] = await driver.send_batch(batch, topic, partition=partition)
    return found
