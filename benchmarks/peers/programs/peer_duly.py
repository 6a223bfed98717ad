"""duly, on whatever store SERVER says."""

import asyncio
import json
from collections.abc import Iterator

from journal import SERVER, main, moment, note

import duly


async def handle(envelope: duly.Envelope) -> None:
    note(*json.loads(envelope.payload))


def schedule(moments: Iterator[float]) -> None:
    async def run() -> None:
        async with duly.Client(SERVER) as client:
            for number, due in enumerate(moments):
                payload = json.dumps([number, due]).encode()
                await client.schedule(duly.Message("job", payload, scheduled_at=moment(due)))

    asyncio.run(run())


def work() -> None:
    duly.Scheduler(SERVER, handle).run()


if __name__ == "__main__":
    main(schedule, work)
