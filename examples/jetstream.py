"""Reminders through JetStream, and a consumer with nats-py: ``python examples/jetstream.py [URL]``.

It needs duly-nats and a NATS server with JetStream, ``nats-server -js`` for example. The stream
``duly-example`` is made for it and deleted at the end.
"""

import asyncio
import sys
from collections import Counter
from datetime import timedelta

import nats

import duly

URL = sys.argv[1] if len(sys.argv) > 1 else "nats://127.0.0.1:4222"
STREAM = "duly-example"
NUMBER = 100


async def main() -> None:
    client = await nats.connect(URL)
    stream = client.jetstream()
    await stream.add_stream(name=STREAM, subjects=[f"{STREAM}.>"])
    consumer = await stream.pull_subscribe(f"{STREAM}.orders.*", durable="mailer")

    place = URL.replace("nats://", "jetstream://")
    transport = f"{place}?subject={STREAM}.{{event_name}}&stream={STREAM}"
    async with duly.Scheduler("memory://", transport) as scheduler:
        due = duly.after(seconds=0.5)
        await scheduler.schedule_many(
            duly.Message(
                "orders.reminder",
                b"order %d" % number,
                scheduled_at=due + timedelta(milliseconds=number),
                metadata={"customer": "Zoë"},
            )
            for number in range(NUMBER)
        )
        async with scheduler.running():
            orders: Counter[str] = Counter()
            while orders.total() < NUMBER:
                for message in await consumer.fetch(NUMBER, timeout=10):
                    assert message.headers is not None
                    assert message.headers["customer"] == "Zoë"
                    orders[message.data.decode()] += 1
                    await message.ack()
    await stream.delete_stream(STREAM)
    await client.close()
    assert orders == Counter(f"order {number}" for number in range(NUMBER))
    print(f"{NUMBER} reminders came through the stream, each of them once")


if __name__ == "__main__":
    asyncio.run(main())
