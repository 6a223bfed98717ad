"""A web service that schedules in its routes and delivers by itself: one process, one file.

``python embedded_service.py`` serves on port 8000, or on that of the variable PORT; messages rest
in ``orders.db``, or wherever DULY_STORE says. Several of these processes may share one store.
Needs duly, duly-sqlite, starlette and uvicorn. ``test_embedded_service.py`` tests it.

    curl -X POST 'localhost:8000/orders/17?patience=5'     place an order
    curl -X DELETE localhost:8000/orders/17                take it back
    curl localhost:8000/orders/17                          reminded of yet?
    curl localhost:8000/health
"""

import contextlib
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import duly

transport = duly.LocalTransport()
reminded: set[str] = set()  # a service would keep this in its database


@dataclass
class OrderReminder:
    """What a reminder is about."""

    order: str


# The id makes a request that comes twice harmless, and finds the reminder of an order again.
reminder = duly.Event("orders.reminder", OrderReminder, id="order-{order}-reminder")


@transport.on(reminder, max_in_flight=10, recovery=duly.Backoff(max_retries=5))
async def remind(order: OrderReminder) -> None:
    """Called when an order was not taken back in time; again after a crash: it does no harm."""
    reminded.add(order.order)


@transport.cron("0 3 * * *", id="forget-reminders", timezone="Europe/Berlin")
async def forget() -> None:
    """Called every night, by one of all processes."""
    reminded.clear()


async def place(client: duly.Client, order: str, patience: timedelta) -> bool:
    """Schedule the reminder of an order; whether there was none yet."""
    due = duly.after(seconds=patience.total_seconds())
    try:
        await client.schedule(reminder.message(OrderReminder(order), scheduled_at=due))
    except duly.DuplicateMessage:
        return False
    return True


async def take_back(client: duly.Client, order: str) -> duly.Cancellation:
    """Cancel the reminder of an order, and tell the truth about it."""
    return await client.cancel(reminder.id(order=order), missing_ok=True)


def application(scheduler: duly.Scheduler) -> Starlette:
    """The routes, and a scheduler that delivers for as long as the service runs."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None, None]:
        async with scheduler, scheduler.running():  # what is on its way at the end is finished
            yield

    async def post(request: Request) -> Response:
        order = request.path_params["order"]
        patience = timedelta(seconds=float(request.query_params.get("patience", "60")))
        new = await place(scheduler, order, patience)
        answer = {"order": order, "placed": "now" if new else "before"}
        return JSONResponse(answer, status_code=201 if new else 200)

    async def delete(request: Request) -> Response:
        order = request.path_params["order"]
        answer = await take_back(scheduler, order)
        return JSONResponse({"order": order, "reminder": answer.value})

    async def show(request: Request) -> Response:
        order = request.path_params["order"]
        return JSONResponse({"order": order, "reminded": order in reminded})

    async def health(_request: Request) -> Response:
        """For the load balancer: 503 when nothing can be scheduled or delivered."""
        found = await scheduler.health()
        code = 503 if found.status is duly.Status.UNHEALTHY else 200
        return JSONResponse({"status": found.status.value, "reason": found.reason}, code)

    return Starlette(
        lifespan=lifespan,
        routes=[
            Route("/orders/{order}", post, methods=["POST"]),
            Route("/orders/{order}", delete, methods=["DELETE"]),
            Route("/orders/{order}", show),
            Route("/health", health),
        ],
    )


if __name__ == "__main__":
    store = os.environ.get("DULY_STORE", "sqlite:///orders.db")
    app = application(duly.Scheduler(store, transport))
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
