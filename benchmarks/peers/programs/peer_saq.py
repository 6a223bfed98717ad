"""SAQ on Redis. It keeps due times in whole seconds."""

import asyncio
import math
from collections.abc import Iterator
from typing import Any

from journal import SERVER, main, note
from saq import Queue, Worker

queue = Queue.from_url(SERVER)


async def job(context: Any, *, number: int, due: float) -> None:
    note(number, due)


def schedule(moments: Iterator[float]) -> None:
    async def run() -> None:
        await queue.connect()
        for number, due in enumerate(moments):
            await queue.enqueue("job", number=number, due=due, scheduled=math.ceil(due))
        await queue.disconnect()

    asyncio.run(run())


def work() -> None:
    asyncio.run(Worker(queue, functions=[job], concurrency=100).start())


if __name__ == "__main__":
    main(schedule, work)
