"""A store that looks like a day at work: delivering, failing, paused, limited, dead, recurring."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs
import httpx
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.web.kit import ALL, USERS, asking, listening

import duly
import duly_web
from duly import Client, Delivery, Message
from duly_history import History
from duly_web.pages.routes import PAGES

__all__ = ["PLACES", "Scene", "fill_hour", "scene", "until"]

ZONE: Final = "Europe/Berlin"
PLACES: Final = [each for each in PAGES if "{" not in each]


class SMTPRefused(Exception):
    """The mail server is away."""


@attrs.define
class Scene:
    """What a test is given: ``url`` is where the pages are mounted."""

    client: Client
    scheduler: duly.Scheduler
    history: History
    app: duly_web.Application
    url: str
    http: httpx.AsyncClient


def _transport() -> duly.LocalTransport:
    transport = duly.LocalTransport()

    @transport.on("orders.reminder")
    async def remind(envelope: duly.Envelope) -> None:
        pass

    @transport.on("reports.nightly")
    async def report(envelope: duly.Envelope) -> None:
        pass

    @transport.on("mail.send")
    async def mail(envelope: duly.Envelope) -> None:
        raise SMTPRefused("connection to smtp.internal:25 refused")

    @transport.on("orders.export")
    async def export(envelope: duly.Envelope) -> None:
        raise duly.Rejected(f"unknown column {envelope.message_id!r}")

    return transport


def later(failure: duly.Failure) -> duly.Verdict:
    """Tries again in some minutes; what can never be is buried."""
    if isinstance(failure.error, duly.Rejected):
        return duly.Bury(failure.error_text or "")
    return duly.Retry(timedelta(minutes=4))


async def until(holds: Any) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(20):
        while not await holds():  # noqa: ASYNC110  # it happens elsewhere
            await asyncio.sleep(0.05)


async def seed(client: Client, *, many: int = 12) -> None:
    """What is in the store on such a day."""
    at = duly.after
    messages = [
        *(Message("mail.send", b'{"customer": 88213, "total": 19.90, "order": 900719925474099312}',
                  id=f"welcome-{n}", scheduled_at=at(seconds=-1), metadata={"tenant": "acme"})
          for n in range(many)),
        *(Message("orders.export", b"{}", id=f"export-{n}", scheduled_at=at(seconds=-1)) for n in range(many)),
        *(Message("orders.reminder", b"{}", id=f"reminder-{n}", scheduled_at=at(seconds=-1)) for n in range(many)),
        *(Message("orders.reminder", b"{}", id=f"order-{n}", scheduled_at=at(minutes=n * 5)) for n in range(1, many)),
        *(Message("invoices.monthly", b"{}", id=f"invoice-{n}", scheduled_at=at(seconds=-30)) for n in range(many)),
        Message("orders.reminder", b"{}", id="tenant/order 17", scheduled_at=at(hours=30)),
        Message("reports.nightly", b"{}", id="report", recurrence=duly.Cron("30 2 * * *", timezone=ZONE)),
        Message("reports.nightly", b"{}", id="pulse", scheduled_at=at(minutes=5),
                recurrence=duly.Every(timedelta(minutes=15))),
    ]  # fmt: skip
    with duly.acting(by="shop-api"):
        await client.pause("invoices.*", reason="migration INV-204", by="jonas", until=at(hours=4))
        await client.limit("sms.*", rate=20, reason="the provider's contract", by="deploy")
        await client.schedule_many(messages)


async def fill_hour(history: History, turn: Any) -> None:
    """The figures of the last hour; ``turn`` sets the clock of the history."""
    now = datetime.now(UTC)
    for minute in range(59, 0, -1):
        turn(now - timedelta(minutes=minute))
        slow = max(0, 8 - minute) ** 3 / 20
        for name, number in (
            ("orders.reminder", 34 + minute * 7 % 9),
            ("sms.promo", 12),
            ("mail.send", 9 if minute > 8 else 0),
        ):
            deliveries = [
                Delivery(
                    message=Message(name, b"", id="earlier", scheduled_at=now),
                    receipt=None,
                    lateness=timedelta(
                        milliseconds=4 + n * 7 % 30 + (slow * 1000 if n % 9 == 0 else 0)
                    ),
                )
                for n in range(number)
            ]
            if deliveries:
                history.duly_delivered(deliveries, "orders-0")
    turn(None)
    await history.flush()


@asynccontextmanager
async def scene(
    store: str, folder: Path, *, mounted: str = "", token: str | None = ALL, hour: bool = False,
    users: Any = None, **options: Any,
) -> AsyncIterator[Scene]:  # fmt: skip
    """The pages over such a store, with a scheduler that delivers meanwhile."""
    moved: list[datetime | None] = [None]
    history = History(
        f"sqlite:///{folder / 'history.db'}", clock=lambda: moved[0] or datetime.now(UTC)
    )
    scheduler = duly.Scheduler(
        store, _transport(), plugins=[history], recovery=later, instance="orders-0",
        poll_interval=timedelta(milliseconds=20),
    )  # fmt: skip
    look = duly_web.Pages(
        environment="production", color="red", store="orders · postgresql://duly:secret@db1/orders",
        timezone=ZONE,
    )  # fmt: skip
    async with scheduler:
        if hour:
            await fill_hour(history, lambda at: moved.__setitem__(0, at))
        await seed(scheduler)
        app = duly_web.application(
            scheduler,
            access=duly_web.Tokens(users or USERS),
            history=history,
            pages=look,
            **options,
        )
        outer: Any = Starlette(routes=[Mount(mounted, app)]) if mounted else app
        async with scheduler.running(), app.running(), listening(outer) as root:

            async def settled() -> bool:
                stats = await scheduler.stats()
                retrying = await scheduler.count(duly.Filter(phase=duly.Phase.RETRYING))
                gone = await scheduler.count(duly.Filter(id_prefix="reminder-"))
                return stats.dead >= 12 and retrying.number >= 12 and not gone.number

            await until(settled)
            await history.flush()
            async with asking(f"{root}{mounted}/", token) as http:
                yield Scene(scheduler, scheduler, history, app, f"{root}{mounted}/", http)
    await history.close()
