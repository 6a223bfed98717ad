"""Schedules a message, sees that it is written down, and a second one; then it waits to be killed.

Called with the URL of a history.
"""

import asyncio
import sys
import time

import duly
from duly_history import History


async def main() -> None:
    history = History(sys.argv[1])
    client = duly.Client("memory://", plugins=[history])
    await client.schedule(duly.Message("tick", scheduled_at=duly.after(hours=1)))
    await history.flush()
    await client.schedule(duly.Message("tick", scheduled_at=duly.after(hours=1)))
    print("written", flush=True)  # noqa: T201  # for whoever started it
    time.sleep(60)  # noqa: ASYNC251  # nothing more is to be written


asyncio.run(main())
