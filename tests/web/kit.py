"""A real server around the API, and somebody who asks it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx
import uvicorn

import duly_web
from duly import Client

ALL: Final = "token-of-mara-who-may-do-everything"
READS: Final = "token-of-rita-who-only-reads-all"
ORDERS: Final = "token-of-otto-who-has-orders-alone"
USERS: Final = {
    ALL: duly_web.User("mara", duly_web.RIGHTS),
    READS: duly_web.User("rita", ["read"]),
    ORDERS: duly_web.User("otto", duly_web.RIGHTS, ["orders.*"]),
}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def listening(app: Any) -> AsyncIterator[str]:
    """A server on a free port of this host; its URL."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        config = uvicorn.Config(app, log_level="error", lifespan="auto", ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve([found]))
        while not server.started and not task.done():  # noqa: ASYNC110  # it tells in no other way
            await asyncio.sleep(0.002)
        try:
            yield f"http://127.0.0.1:{found.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def asking(url: str, token: str | None = ALL) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with that token."""
    headers = {} if token is None else bearer(token)
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=30) as http:
        yield http


@asynccontextmanager
async def served(
    client: Client, token: str | None = ALL, **options: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """The API around a client, and somebody who asks it."""
    options.setdefault("access", duly_web.Tokens(USERS))
    app = duly_web.application(client, **options)
    async with listening(app) as url, asking(f"{url}/v1", token) as http:
        yield http


def soon(seconds: float = 3600) -> str:
    """A moment to come, as it is written."""
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S.%fZ}"


def pointers(answer: httpx.Response) -> list[str]:
    """Where something was wrong."""
    return [each["pointer"] for each in answer.json()["errors"]]
