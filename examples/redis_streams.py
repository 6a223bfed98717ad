"""Due messages as entries of a stream, read by a group of consumers.

``python examples/redis_streams.py redis://localhost``. It needs duly-redis-streams and duly-sqlite;
the consumers are redis-py's own. One of them dies with an entry in its hands, which another takes
over, so that every order is reminded of.
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

import duly

NUMBER = 20
STREAM = "examples.orders.reminder"
GROUP = "reminders"


class Reminders:
    """What the consumers did, each delivery once."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.seen: set[bytes] = set()

    def send(self, fields: Mapping[bytes, bytes]) -> None:
        if (delivery := fields[b"duly-delivery-id"]) not in self.seen:
            self.seen.add(delivery)
            self.orders.append(fields[b"payload"].decode())


async def consume(redis: Redis, reminders: Reminders) -> None:
    """Take what others left behind, then what is new."""
    left: Any
    _, left, _ = await redis.xautoclaim(STREAM, GROUP, "second", min_idle_time=0)
    for id, fields in left:
        reminders.send(fields)
        await redis.xack(STREAM, GROUP, id)
    while len(reminders.orders) < NUMBER:
        found: Any = await redis.xreadgroup(GROUP, "second", {STREAM: ">"}, count=10, block=1000)
        for _, entries in found or []:
            for id, fields in entries:
                reminders.send(fields)
                await redis.xack(STREAM, GROUP, id)


async def main(server: str) -> None:
    redis, reminders = Redis.from_url(server), Reminders()
    await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)

    transport = server.replace("redis", "redis+stream", 1)
    transport += "?stream=examples.{event_name}&maxlen=10000&deduplicate=3600"
    with tempfile.TemporaryDirectory() as folder:
        async with duly.Scheduler(f"sqlite:///{folder}/orders.db", transport) as scheduler:
            for number in range(NUMBER):
                due = duly.after(seconds=0.2)
                message = duly.Message("orders.reminder", b"order %d" % number, scheduled_at=due)
                await scheduler.schedule(message)
            async with scheduler.running():
                first: Any = await redis.xreadgroup(
                    GROUP, "first", {STREAM: ">"}, count=3, block=10_000
                )
                taken = len(first[0][1])  # and with these it dies
                await consume(redis, reminders)

    assert sorted(reminders.orders) == sorted(f"order {number}" for number in range(NUMBER))
    assert (await redis.xpending(STREAM, GROUP))["pending"] == 0
    await redis.delete(STREAM)
    await redis.aclose()
    print(
        f"{NUMBER} orders, each reminded of once, {taken} of them by the second consumer's rescue"
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "redis://localhost"))
