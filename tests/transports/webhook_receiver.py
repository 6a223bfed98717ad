"""A receiver of webhooks: an HTTP server of its own, which notes all that it is sent."""

import asyncio
import base64
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from ssl import SSLContext
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web

from duly.testing.transports import Received
from duly_webhook import read


class Request(NamedTuple):
    """What came: as it was, and as a consumer understands it."""

    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    told: Received


class Receiver:
    """Accepts all but the payload ``unacceptable``; ``answers`` come first, while there are any."""

    def __init__(self, *, ssl: SSLContext | None = None) -> None:
        self.port = 0
        self.requests: list[Request] = []
        self.answers: list[web.Response] = []
        self.held = asyncio.Event()
        """Requests wait for it before they are answered."""
        self.held.set()
        self.coming = 0
        """How many requests have begun."""
        self._ssl = ssl
        self._came = asyncio.Event()

    async def start(self) -> None:
        """Listen, at the same port as before."""
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._receive)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            "127.0.0.1",
            self.port,
            ssl_context=self._ssl,
            reuse_address=True,
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Hang up on all, and listen no more."""
        await self._runner.cleanup()

    async def wait_for(self, number: int) -> Sequence[Request]:
        """All that was accepted, as soon as it is so many."""
        while len(self.requests) < number:
            self._came.clear()
            await self._came.wait()
        return self.requests

    async def _receive(self, request: web.Request) -> web.Response:
        self.coming += 1
        body = await request.read()
        await self.held.wait()
        if self.answers:
            return self.answers.pop(0)
        understood = _understood(request.headers, body)
        if understood.payload == b"unacceptable":
            return web.Response(status=HTTPStatus.UNPROCESSABLE_ENTITY)
        self.requests.append(
            Request(request.rel_url.raw_path, request.rel_url.raw_query_string, request.headers,
                    body, understood)
        )  # fmt: skip
        self._came.set()
        return web.Response(status=HTTPStatus.ACCEPTED, text="thank you")


def _understood(headers: Mapping[str, str], body: bytes) -> Received:
    envelope = read(headers, body)
    told = {unquote(name): unquote(value) for name, value in headers.items()}
    if not headers["content-type"].startswith("application/cloudevents+json"):
        return Received(event_name=told["ce-type"], payload=body, headers=told, envelope=envelope)
    event = json.loads(body)
    payload = (
        base64.b64decode(event["data_base64"])
        if "data_base64" in event
        else json.dumps(event["data"]).encode()
    )
    return Received(event_name=event["type"], payload=payload, headers=told, envelope=envelope)
