"""A consumer of Kafka that reads a topic from its beginning, with aiokafka's own means."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from duly.testing.transports import Received
from duly_kafka import read

EVENT_NAME = "duly-event-name"


class Reader:
    """Asks for a topic, which brokers that make topics on demand then have, and keeps all of it."""

    def __init__(self, url: str, topic: str) -> None:
        self.topic = topic
        self.records: list[Any] = []
        self._servers = url.removeprefix("kafka://")
        self._consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=self._servers,
            group_id=None,  # it takes all partitions
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
            max_partition_fetch_bytes=2**24,
        )

    async def start(self) -> None:
        """Connect, and wait until the topic is there."""
        await self._consumer.start()
        async with asyncio.timeout(10):
            while not self._consumer.assignment():
                await self._consumer.topics()
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Hang up, and remove the topic where a broker can do that."""
        try:
            await self._consumer.stop()
        except asyncio.CancelledError:
            # Out of a fetch that waits to be tried again, after a loss; aiokafka lets it pass.
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            await self._consumer._client.close()  # it has not come to that
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        with contextlib.suppress(AttributeError, KafkaError):  # the mock cluster has no controller
            await admin.start()
            await admin.delete_topics([self.topic])
        await admin.close()

    async def wait_for(self, number: int) -> Sequence[Any]:
        """All records so far, as soon as there are so many."""
        while len(self.records) < number:
            await self.read_on()
        return self.records

    async def read_all(self) -> Sequence[Any]:
        """All records that there are now, of all partitions."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while sum(ends.values()) > len(self.records):  # none was ever removed
            await self.read_on()
        return self.records

    async def read_on(self) -> Sequence[Any]:
        """All records so far; waits a little for more."""
        for records in (await self._consumer.getmany(timeout_ms=100)).values():
            self.records += records
        return self.records


def understood(record: Any) -> Received:
    """A record as a consumer of messages takes it."""
    headers = {name: value.decode() for name, value in record.headers}
    return Received(
        event_name=headers.pop(EVENT_NAME),
        payload=record.value,
        headers=headers,
        envelope=read(record),
    )
