"""Webhooks beside aiohttp."""

import asyncio
import contextlib
import multiprocessing
from collections.abc import AsyncIterator, Sequence
from multiprocessing.connection import Connection

import aiohttp
from aiohttp import web

from benchmarks.rivals import BATCH, Rivals, opened
from duly.transport import Envelope
from duly_webhook.plugin import transport_from_url as webhook_from_url


@contextlib.asynccontextmanager
async def webhook(url: str) -> AsyncIterator[Rivals]:
    """A receiver in a process of its own, beside aiohttp with one session."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    receiver = context.Process(target=receive, args=(theirs,), daemon=True)
    receiver.start()
    place = f"http://127.0.0.1:{await asyncio.to_thread(ours.recv)}/"

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=BATCH)) as session:

        async def one(envelope: Envelope) -> None:
            async with session.post(
                place, data=envelope.payload, headers=dict(envelope.headers)
            ) as answer:
                assert answer.status == 204
                await answer.read()

        async def many(envelopes: Sequence[Envelope]) -> None:
            await asyncio.gather(*map(one, envelopes))

        async with opened(webhook_from_url(f"{place}?allow_private=true")) as transport:
            yield Rivals(transport, one, many)
    receiver.terminate()
    receiver.join()


def receive(port: Connection) -> None:
    """Accept all, in a process of its own; tells the port that it listens on."""

    async def serve() -> None:
        async def accept(request: web.Request) -> web.Response:
            await request.read()
            return web.Response(status=204)

        app = web.Application()
        app.router.add_post("/", accept)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(serve())
