"""The API in a process of its own, on uvicorn."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from duly import Client
from duly_web.app import application

__all__ = ["alone", "run"]

_AT_ONCE: Final = 1000  # connections


def alone(client: Client, *, ours: bool, **options: Any) -> Starlette:
    """The API with a start and an end of its own; a client that is ``ours`` is closed with it."""
    app = application(client, **options)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await client.open()
        try:
            async with app.running():
                yield
        finally:
            if ours:
                await client.close()

    return Starlette(routes=[Mount("/", app)], lifespan=lifespan)


def run(app: Starlette, **options: Any) -> None:
    """Serve it until a signal comes; what is under way has ten seconds to end."""
    uvicorn.run(
        app,
        server_header=False,
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=10,
        ws="none",
        **options,
    )
