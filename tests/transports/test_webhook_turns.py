"""Waiting for a connection is not publishing, and nobody who waits is timed out for it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from tests.core.engine_kit import Witness

import duly
from duly.memory import MemoryStore
from duly_webhook import WebhookTransport


@pytest.fixture
async def slow() -> AsyncIterator[tuple[str, Callable[[], int]]]:
    """The URL of a receiver that takes half a second for each, and how many it had at most."""
    running = most = 0

    async def receive(_: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.5)
        running -= 1
        return web.Response()

    app = web.Application()
    app.router.add_post("/", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/", lambda: most
    await runner.cleanup()


@pytest.mark.parametrize("places", ["one", "several"])
async def test_a_crowd_is_delivered_and_none_is_timed_out(slow: Any, places: str) -> None:
    url, most = slow
    store, witness = MemoryStore(), Witness()
    transport = WebhookTransport(
        url if places == "one" else lambda _: url, allow_private=True, connections=2
    )
    scheduler = duly.Scheduler(
        store, transport, publish_timeout=timedelta(seconds=2.5), plugins=[witness],
        load_plugins=False,
    )  # fmt: skip
    async with scheduler, scheduler.running():
        await scheduler.schedule_many(
            [duly.Message(f"event-{n % 3}", scheduled_at=duly.after()) for n in range(12)]
        )
        async with asyncio.timeout(20):
            while (stats := await scheduler.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # a server brings it about
                await asyncio.sleep(0.02)
    assert not witness.failed
    assert sum(map(len, witness.delivered)) == 12
    assert most() <= 2


def test_it_says_how_many_connections_it_has() -> None:
    one = WebhookTransport("https://example.com/hook", connections=7)
    several = WebhookTransport(lambda _: "https://example.com/hook", connections=7)
    assert one.limits() is one.limits()
    assert one.limits().in_all == 7
    assert several.limits().in_all == 1000
