"""An order that is not paid in time is reminded of; one that is paid is left alone.

``python order_reminder.py`` tells the story in three seconds, in a file of a temporary folder.
Needs duly and duly-sqlite.
"""

import asyncio
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duly

PATIENCE = timedelta(seconds=1)  # a shop would give its customers a day

transport = duly.LocalTransport()
reminded: list[int] = []
all_reminded = asyncio.Event()


@transport.on("orders.reminder")
async def remind(envelope: duly.Envelope) -> None:
    """Called when an order was not paid in time."""
    order = json.loads(envelope.payload)["order"]
    late = datetime.now(UTC) - envelope.scheduled_at
    print(f"order {order}: please pay ({late.total_seconds() * 1000:.0f} ms after the moment)")
    reminded.append(order)
    if len(reminded) == 2:
        all_reminded.set()


async def place(client: duly.Client, order: int) -> None:
    """An order was placed. Its number makes the id: asked for twice, it reminds once."""
    message = duly.Message(
        "orders.reminder",
        json.dumps({"order": order}).encode(),
        id=f"order-{order}-reminder",
        scheduled_at=duly.after(seconds=PATIENCE.total_seconds()),
    )
    try:
        await client.schedule(message)
        print(f"order {order}: placed")
    except duly.DuplicateMessage:
        print(f"order {order}: was placed before")


async def pay(client: duly.Client, order: int) -> None:
    """An order was paid: the same id takes the reminder back."""
    if await client.cancel(f"order-{order}-reminder", missing_ok=True):
        print(f"order {order}: paid, no reminder")
    else:
        print(f"order {order}: paid, the reminder may be out already")


async def main(url: str) -> None:
    """The web part of a shop, which only schedules, and then its scheduler."""
    async with duly.Client(url) as client:
        for order in (1, 2, 3):
            await place(client, order)
        await place(client, 3)  # the customer pressed the button twice
        await pay(client, 2)

    # All of it is in the file by now: this might as well be another process, or tomorrow.
    async with duly.Scheduler(url, transport) as scheduler, scheduler.running():
        await all_reminded.wait()
        await pay(scheduler, 1)
    assert sorted(reminded) == [1, 3]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(f"sqlite:///{Path(folder) / 'orders.db'}"))
