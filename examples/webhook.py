"""Signed webhooks, and a receiver that checks them: ``python examples/webhook.py``.

It needs duly-webhook; the receiver is aiohttp's own web server.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import os
import time
from datetime import timedelta

from aiohttp import web

import duly
from duly_webhook import WebhookTransport

KEY = os.urandom(32)
logging.basicConfig(level=logging.ERROR)  # each failed attempt is a warning
SECRET = "whsec_" + base64.b64encode(KEY).decode()
NUMBER = 20


class Receiver:
    """Accepts what is signed with the secret, and each delivery once."""

    def __init__(self) -> None:
        self.orders: list[str] = []
        self.seen: set[str] = set()
        self.refused = 0
        self.failing = 3
        self.all_came = asyncio.Event()

    async def receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self.is_ours(request, body):
            self.refused += 1
            return web.Response(status=401)
        if self.failing:
            self.failing -= 1
            return web.Response(status=503)
        if (id := request.headers["webhook-id"]) not in self.seen:
            self.seen.add(id)
            self.orders.append(body.decode())
        if len(self.orders) == NUMBER:
            self.all_came.set()
        return web.Response(status=204)

    def is_ours(self, request: web.Request, body: bytes) -> bool:
        """What libraries of Standard Webhooks do."""
        id, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
        digest = hmac.new(KEY, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
        signature = "v1," + base64.b64encode(digest).decode()
        given = request.headers["webhook-signature"].split(" ")
        fresh = abs(time.time() - int(timestamp)) < 300
        return fresh and any(hmac.compare_digest(signature, each) for each in given)


async def main() -> None:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/orders", receiver.receive)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]

    transport = WebhookTransport(
        f"http://127.0.0.1:{port}/orders", secrets=[SECRET], allow_private=True
    )
    backoff = duly.Backoff(initial=timedelta(milliseconds=100))
    async with duly.Scheduler("memory://", transport, recovery=backoff) as scheduler:
        for number in range(NUMBER):
            due = duly.after(seconds=0.2)
            message = duly.Message("orders.reminder", b"order %d" % number, scheduled_at=due)
            await scheduler.schedule(message)
        async with scheduler.running():
            await receiver.all_came.wait()
    await runner.cleanup()
    assert receiver.refused == 0
    assert sorted(receiver.orders) == sorted(f"order {number}" for number in range(NUMBER))
    print(f"{NUMBER} webhooks, each checked and taken once, although three were refused at first")


if __name__ == "__main__":
    asyncio.run(main())
