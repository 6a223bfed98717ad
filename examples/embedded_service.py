"""A web service that schedules in its routes and delivers by itself: one process, one file.

``python embedded_service.py`` serves on port 8000, or on that of the variable PORT; messages rest
in ``orders.db``, or wherever DULY_STORE says. Several of these processes may share one store.
Needs duly, duly-sqlite, starlette and uvicorn.

    curl -X POST 'localhost:8000/orders/17?patience=5'     place an order
    curl -X DELETE localhost:8000/orders/17                take it back
    curl localhost:8000/orders/17                          reminded of yet?
    curl localhost:8000/health
"""

import contextlib
import os
from collections.abc import AsyncIterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import duly

transport = duly.LocalTransport()
reminded: set[str] = set()  # a service would keep this in its database


@transport.on("orders.reminder")
async def remind(envelope: duly.Envelope) -> None:
    """Called when an order was not taken back in time; again after a crash: it does no harm."""
    reminded.add(envelope.payload.decode())


scheduler = duly.Scheduler(os.environ.get("DULY_STORE", "sqlite:///orders.db"), transport)


@contextlib.asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    """Deliver for as long as the service runs; what is on its way at the end is finished."""
    async with scheduler, scheduler.running():
        yield


async def place(request: Request) -> Response:
    """Schedule a reminder. The id makes a request that comes twice harmless."""
    order = request.path_params["order"]
    message = duly.Message(
        "orders.reminder",
        order.encode(),
        id=f"order-{order}-reminder",
        scheduled_at=duly.after(seconds=float(request.query_params.get("patience", "60"))),
    )
    try:
        await scheduler.schedule(message)
    except duly.DuplicateMessage:
        return JSONResponse({"order": order, "placed": "before"})
    return JSONResponse({"order": order, "placed": "now"}, status_code=201)


async def take_back(request: Request) -> Response:
    """Cancel the reminder, and tell the truth about it."""
    order = request.path_params["order"]
    answer = await scheduler.cancel(f"order-{order}-reminder", missing_ok=True)
    return JSONResponse({"order": order, "reminder": answer.value})


async def show(request: Request) -> Response:
    """Whether the reminder has gone out."""
    order = request.path_params["order"]
    return JSONResponse({"order": order, "reminded": order in reminded})


async def health(_request: Request) -> Response:
    """For the load balancer: 503 when nothing can be scheduled or delivered."""
    found = await scheduler.health()
    code = 503 if found.status is duly.Status.UNHEALTHY else 200
    return JSONResponse({"status": found.status.value, "reason": found.reason}, status_code=code)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/orders/{order}", place, methods=["POST"]),
        Route("/orders/{order}", take_back, methods=["DELETE"]),
        Route("/orders/{order}", show),
        Route("/health", health),
    ],
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")), log_level="warning")
