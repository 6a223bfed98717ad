"""What HTTP costs: messages scheduled by requests beside the client's own calls, and pages."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from socket import socket
from typing import Final

import aiohttp

import duly
from benchmarks.grounds import Ground
from benchmarks.load import due, fill, schedule
from benchmarks.section import Figure, Section, in_turn

__all__ = ["served", "web"]

_GOAL: Final = 0.3  # seconds, the 95th of a hundred pages
_PAGES: Final = 100
_TOKEN: Final = "a-token-that-measures-and-nothing-else"  # noqa: S105  # of nobody
_EVENT: Final = "event-0"
_BODY: Final = b'{"event_name":"event-0","delay":"1h","payload":{"order_id":17,"note":"%b"}}' % (
    b"x" * 75
)
_MANY: Final = b'{"messages":[%b]}' % b",".join([_BODY] * 500)
_SERVER: Final = f"""
import sys, uvicorn, duly, duly_web
from duly_history import History
client = duly.Client(sys.argv[1])
history = History(sys.argv[3]) if sys.argv[3] else None
access = duly_web.Tokens({{"{_TOKEN}": duly_web.User("bench", duly_web.RIGHTS)}})
app = duly_web.application(client, access=access, history=history)
uvicorn.run(app, port=int(sys.argv[2]), log_level="error", access_log=False)
"""


async def web(grounds: Sequence[Ground], count: int, stored: int, rounds: int) -> Section:
    """Messages a second by HTTP, one process of uvicorn; and pages of 100 among many."""
    section = Section(
        "Over HTTP",
        f"{count:,} messages are scheduled by requests to one process of uvicorn, from one that "
        "asks: one after another (a fifth of them), 200 requests at a time, and 500 messages a "
        "request; in brackets by the client itself in one process. Pages are of 100 among "
        f"{stored:,} messages, of all, the next ones and of one event name: the 50th and 95th of "
        "a hundred, in ms.",
        ["store", "one by one", "200 at a time", "500 a request", "page, p50", "page, p95"],
    )
    for ground in grounds:
        if not ground.shared:
            continue
        ways = {}
        for way in ("single", "together", "bulk"):
            some = count // 5 if way == "single" else count
            ways[f"http_{way}"] = partial(_by_http, ground, some, way)
            ways[way] = partial(_by_client, ground, some, way)
        found = await in_turn(ways, rounds)
        pages = await _pages(ground, stored)
        p50, p95 = statistics.median(pages), statistics.quantiles(pages, n=20)[-1]
        cells = [
            f"{_short(found[f'http_{way}'])} ({_short(found[way])})"
            for way in ("single", "together", "bulk")
        ]
        section.add(
            ground.name, *cells, f"{p50 * 1000:.1f}", f"{p95 * 1000:.1f}",
            store=ground.name, page_p50=p50, page_p95=p95,
            **{way: each.values for way, each in found.items()},
        )  # fmt: skip
        section.expect(f"a page of 100 among {stored:,} on {ground.name}", _GOAL / p95, 1.0)
    return section


def _short(figure: Figure) -> str:
    return f"{figure.median:,.0f}/s"


async def _by_client(ground: Ground, count: int, way: str) -> float:
    async with ground.fresh() as url:
        return await schedule(url, count, way)


async def _by_http(ground: Ground, count: int, way: str) -> float:
    async with ground.fresh() as url, served(url) as http:
        path, body, size = "/v1/messages", _BODY, 1
        if way == "bulk":
            path, body, size = "/v1/messages/many", _MANY, 500
        left = count // size
        start = time.perf_counter()

        async def ask() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                async with http.post(path, data=body) as answer:
                    assert answer.status < 300, await answer.text()
                    await answer.read()

        await asyncio.gather(*(ask() for _ in range(200 if way == "together" else 1)))
        return count / (time.perf_counter() - start)


async def _pages(ground: Ground, stored: int) -> list[float]:
    """Seconds of each page."""
    async with ground.fresh() as url:
        for start in range(0, stored, 100_000):
            messages = due(min(100_000, stored - start), seconds=86_400 + start)
            await fill(url, messages)
        async with served(url) as http:
            took, cursor = [], ""
            for number in range(_PAGES):
                asked = {} if number % 2 else {"event_name": _EVENT}
                if cursor and number % 4 == 3:
                    asked = {"cursor": cursor}
                begun = time.perf_counter()
                async with http.get("/v1/messages", params=asked) as answer:
                    told = await answer.json()
                took.append(time.perf_counter() - begun)
                assert len(told["items"]) == 100, told
                cursor = "" if "event_name" in asked else told["next"]
            return took


@asynccontextmanager
async def served(url: str, history: str = "") -> AsyncIterator[aiohttp.ClientSession]:
    """A server in a process of its own, and somebody who asks it."""
    async with duly.Client(url):
        pass  # the tables are there
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", _SERVER, url, str(port), history]
    process = subprocess.Popen(command)  # noqa: ASYNC220, S603  # ours, and it begins at once
    headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
    try:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            f"http://127.0.0.1:{port}", headers=headers, connector=connector
        ) as http:
            while True:
                try:
                    async with http.get("/v1/controls/x"):
                        break
                except aiohttp.ClientConnectionError:
                    assert process.poll() is None, "the server has ended"
                    await asyncio.sleep(0.05)
            yield http
    finally:
        process.terminate()
        process.wait()
