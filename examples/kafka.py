"""Reminders by Kafka, read by aiokafka's consumer: ``python examples/kafka.py kafka://localhost``.

It needs duly-kafka, and a broker that makes topics on demand or has one called ``reminders``.
"""

import asyncio
import logging
import sys
from collections import defaultdict

from aiokafka import AIOKafkaConsumer

import duly

logging.basicConfig(level=logging.ERROR)
BROKER = sys.argv[1] if len(sys.argv) > 1 else "kafka://localhost"
TOPIC = "reminders"
TENANTS = ("ada", "grace", "mary")
NUMBER = 30


async def consume(consumer: AIOKafkaConsumer) -> tuple[dict[bytes, list[str]], int]:
    """Each tenant's reminders, each taken once, and from how many partitions those of one came."""
    reminders: dict[bytes, list[str]] = defaultdict(list)
    partitions: dict[bytes, set[int]] = defaultdict(set)
    seen: set[bytes] = set()
    async for record in consumer:
        headers = dict(record.headers)
        if headers["duly-delivery-id"] not in seen:  # at least once means sometimes twice
            seen.add(headers["duly-delivery-id"])
            reminders[record.key].append(record.value.decode())
            partitions[record.key].add(record.partition)
        if len(seen) == NUMBER:
            break
    return reminders, max(map(len, partitions.values()))


async def main() -> None:
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=BROKER.removeprefix("kafka://"), auto_offset_reset="latest"
    )
    await consumer.start()
    try:
        # What is of one tenant has its name as the key, and so goes to one partition.
        transport = f"{BROKER}?topic={TOPIC}&key_from=tenant"
        async with duly.Scheduler("memory://", transport) as scheduler, scheduler.running():
            for number in range(NUMBER):
                due = duly.after(seconds=0.2 + number / 100)
                metadata = {"tenant": TENANTS[number % len(TENANTS)]}
                message = duly.Message(
                    "orders.reminder", b"order %d" % number, scheduled_at=due, metadata=metadata
                )
                await scheduler.schedule(message)
            reminders, partitions = await consume(consumer)
    finally:
        await consumer.stop()
    assert partitions == 1
    assert sorted(map(bytes.decode, reminders)) == sorted(TENANTS)
    for tenant, texts in sorted(reminders.items()):
        print(f"{tenant.decode()}: {len(texts)} reminders, all from one partition")


if __name__ == "__main__":
    asyncio.run(main())
