"""The service that the tutorial builds: orders, reminders of what is not paid, nightly reports.

    python shop.py place 17     an order, and its reminder in ten seconds
    python shop.py pay 17       no reminder goes out
    python shop.py work         a scheduler; start as many as you like

Needs duly and duly-sqlite. ``test_shop.py`` tests it.
"""

import asyncio
import contextlib
import os
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import duly

FILE = os.environ.get("SHOP_FILE", "shop.db")
STORE = f"sqlite:///{FILE}"
PATIENCE = 10  # seconds from an order to its reminder
LEASE = timedelta(seconds=5)
TENANTS = ("acme", "globex", "initech")
GENERATION = 1  # rises with each deployment

transport = duly.LocalTransport()


@dataclass
class Unpaid:
    order: int


@dataclass
class Report:
    tenant: str


unpaid = duly.Event("orders.unpaid", Unpaid, id="order-{order}-unpaid")
report = duly.Event("reports.daily", Report, id="report-{tenant}")


def orders() -> sqlite3.Connection:
    """The database of the shop, in the file that is the store too."""
    db = sqlite3.connect(FILE)
    db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER PRIMARY KEY, paid INTEGER)")
    return db


@transport.on(unpaid)
async def remind(about: Unpaid) -> None:
    """Called once an order has waited long enough; after a crash perhaps twice."""
    with contextlib.closing(orders()) as db:
        found = db.execute("SELECT paid FROM orders WHERE id = ?", (about.order,)).fetchone()
    if found == (0,):
        await asyncio.sleep(0.1)  # stands for a mail server
        print(f"order {about.order} is not paid yet", flush=True)


@transport.on(report)
async def build(about: Report) -> None:
    """Called every night for each tenant, by one of all processes."""
    print(f"the report of {about.tenant}", flush=True)


def reports() -> Sequence[duly.Message]:
    """The series that there are to be: one a tenant, spread over half an hour."""
    nightly = duly.Cron("0 3 * * *", timezone="Europe/Berlin", jitter=timedelta(minutes=30))
    return [report.message(Report(tenant), recurrence=nightly) for tenant in TENANTS]


async def place(client: duly.Client, db: sqlite3.Connection, order: int) -> None:
    """Store an order and its reminder: both, or neither."""
    with db:  # commits, or rolls back if something is raised
        db.execute("INSERT INTO orders VALUES (?, 0)", (order,))
        reminder = unpaid.message(Unpaid(order), scheduled_at=duly.after(seconds=PATIENCE))
        await client.schedule(reminder, within=db)


async def pay(client: duly.Client, db: sqlite3.Connection, order: int) -> duly.Cancellation:
    """Note that an order is paid, and cancel its reminder."""
    with db:
        db.execute("UPDATE orders SET paid = 1 WHERE id = ?", (order,))
        return await client.cancel(unpaid.id(order=order), missing_ok=True, within=db)


async def called(verb: str, order: int) -> None:
    async with duly.Client(STORE) as client:
        with contextlib.closing(orders()) as db:
            if verb == "place":
                await place(client, db, order)
                print(f"order {order} is placed")
            else:
                print(
                    f"order {order} is paid; its reminder: {(await pay(client, db, order)).value}"
                )


def work() -> None:
    """Deliver until somebody sends SIGTERM or presses Ctrl-C, then finish what was begun."""
    with duly.sync.Client(STORE) as client:
        client.declare(reports(), by="shop", generation=GENERATION)
    duly.Scheduler(STORE, transport, stuck_duration=LEASE).run()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["work"]:
            work()
        case ["place" | "pay" as verb, order]:
            asyncio.run(called(verb, int(order)))
        case _:
            print(__doc__)
