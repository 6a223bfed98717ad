"""duly, on whatever store SERVER says; its defaults but for what BATCH and STUCK (seconds) say."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

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
    options: dict[str, Any] = {}
    if batch := os.environ.get("BATCH"):
        options["batch_size"] = int(batch)
    if seconds := os.environ.get("STUCK"):
        options["stuck_duration"] = timedelta(seconds=float(seconds))
    duly.Scheduler(SERVER, handle, **options).run()


if __name__ == "__main__":
    main(schedule, work)
