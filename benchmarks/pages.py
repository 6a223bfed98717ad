"""How long the pages take with very much stored: each page, again and again, as people look."""

import asyncio
import logging
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import aiohttp

import duly
from benchmarks.grounds import Ground
from benchmarks.load import chunks
from benchmarks.section import Section
from benchmarks.web import served
from duly_history import History

__all__ = ["pages"]

_AT_ONCE: Final = 50_000
_GOAL: Final = 0.3  # seconds, the 95th of all looks at one page
_DAY: Final = 86_400
_SERIES: Final = 5_000
_DEAD: Final = 3_000
_RETRYING: Final = 2_000
_LATE: Final = 2_000
_PAYLOAD: Final = b'{"order_id":17,"note":"%s"}' % (b"x" * 75)
_PAGES: Final[Mapping[str, str]] = {
    "overview": "",
    "ahead": "ahead",
    "ahead, an event": "ahead?event_name=event-007.0777",
    "messages": "messages",
    "messages, an event": "messages?event_name=event-007.0777",
    "messages, retrying": "messages?phase=retrying",
    "messages, a tenant": "messages?meta.tenant=acme",
    "message": "messages/late-7",
    "events": "events",
    "events, a prefix": "events?prefix=event-010",
    "series": "series",
    "dead": "dead",
    "dead, listed": "messages?phase=dead",
    "schedulers": "schedulers",
    "changes": "changes",
    "help": "help",
}


async def pages(grounds: Sequence[Ground], stored: int, names: int, looks: int) -> Section:
    """Milliseconds of each page, the 50th and 95th of so many looks, and the first look."""
    section = Section(
        "Pages",
        f"{stored:,} messages of {names:,} event names, among them {_SERIES:,} series, "
        f"{_DEAD:,} dead letters, {_RETRYING:,} that are tried again and {_LATE:,} that are late; "
        f"two rules; a history in a file. Each page {looks} times, a quarter of a second apart and "
        "in turn, so that what pages share is read anew now and then: ms, and in brackets the "
        "first look.",
        ["page", *(f"{each.name}, {what}" for each in grounds if each.shared
                   for what in ("p50", "p95"))],
    )  # fmt: skip
    columns = [await _on(each, stored, names, looks) for each in grounds if each.shared]
    shared = [each for each in grounds if each.shared]
    for page in _PAGES:
        cells, facts = [], {}
        for ground, took in zip(shared, columns, strict=True):
            first, *rest = took[page]
            p50, p95 = statistics.median(rest), statistics.quantiles(rest, n=20)[-1]
            cells += [f"{p50 * 1000:.0f}", f"{p95 * 1000:.0f} ({first * 1000:.0f})"]
            facts[ground.name] = [first, p50, p95]
        section.add(page, *cells, **facts)
    for ground, took in zip(shared, columns, strict=True):
        worst = max(statistics.quantiles(each[1:], n=20)[-1] for each in took.values())
        section.expect(f"the slowest page on {ground.name}", _GOAL / worst, 1.0)
    return section


async def _on(ground: Ground, stored: int, names: int, looks: int) -> Mapping[str, list[float]]:
    """Seconds of each look at each page."""
    with tempfile.TemporaryDirectory() as folder:
        history = f"sqlite:///{Path(folder) / 'history.db'}"
        async with ground.fresh() as url:
            await _stored(url, history, stored, names)
            async with served(url, history) as http:
                took: dict[str, list[float]] = {page: [] for page in _PAGES}
                for _ in range(looks + 1):
                    for page, path in _PAGES.items():
                        took[page].append(await _look(http, path))
                        await asyncio.sleep(0.25)
                return took


async def _look(http: aiohttp.ClientSession, path: str) -> float:
    start = time.perf_counter()
    async with http.get(f"/{path}") as answer:
        text = await answer.text()
    assert answer.status == 200, f"{path}: {answer.status} {text[:500]}"
    return time.perf_counter() - start


async def _stored(url: str, history: str, stored: int, names: int) -> None:
    """All that the pages show."""
    await _tried(url, history)
    rules = [duly.Every(timedelta(hours=6)), duly.Cron("30 2 * * *", timezone="Europe/Berlin")]
    async with duly.Client(url) as client:
        for start in range(0, stored, _AT_ONCE):
            await _schedule(
                client,
                [
                    duly.Message(
                        _name(number * 7919 % names), _PAYLOAD,
                        scheduled_at=duly.after(seconds=1800 + number * 7 % _DAY),
                        metadata={"tenant": "acme"} if number % 1000 == 0 else {},
                    )
                    for number in range(start, min(start + _AT_ONCE, stored))
                ],
            )  # fmt: skip
        await _schedule(
            client,
            [
                duly.Message(f"series-{n % 50:03}", _PAYLOAD, id=f"s-{n}", recurrence=rules[n % 2])
                for n in range(_SERIES)
            ],
        )
        at = duly.after(seconds=-60)
        await _schedule(
            client,
            [
                duly.Message(f"late-{n % 20}", _PAYLOAD, id=f"late-{n}", scheduled_at=at)
                for n in range(_LATE)
            ],
        )
        await client.pause("late-3", reason="maintenance")
        await client.limit("event-000.*", rate=50, reason="the other side is slow")


def _name(number: int) -> str:
    return f"event-{number // 100:03}.{number:04}"


async def _schedule(client: duly.Client, messages: Sequence[duly.Message]) -> None:
    for chunk in chunks(messages):
        await client.schedule_many(chunk)


async def _tried(url: str, history: str) -> None:
    """Dead letters, and messages that are tried again in a while, of a few causes."""
    logging.getLogger("duly").setLevel(logging.CRITICAL)  # thousands of failures are not news
    transport = duly.LocalTransport()

    @transport.on("*")
    async def fails(envelope: duly.Envelope) -> None:
        if envelope.event_name.startswith("dead-"):
            raise duly.Rejected(f"unknown column 'c{envelope.event_name}' of {envelope.message_id}")
        raise ConnectionError(f"smtp.internal:25 refused {envelope.message_id}")

    at, number = duly.after(seconds=-1), _DEAD + _RETRYING
    kept = History(history)
    later = duly.Backoff(initial=timedelta(hours=1), maximum=timedelta(hours=1))
    async with duly.Scheduler(url, transport, plugins=[kept], recovery=later) as scheduler:
        await _schedule(
            scheduler,
            [
                duly.Message(
                    f"dead-{n % 30}" if n < _DEAD else f"retry-{n % 30}", _PAYLOAD, scheduled_at=at
                )
                for n in range(number)
            ],
        )
        async with scheduler.running():
            while not await _all_tried(scheduler, at):  # noqa: ASYNC110  # as others see it
                await asyncio.sleep(0.2)


async def _all_tried(client: duly.Client, at: datetime) -> bool:
    stats = await client.stats()
    waits = stats.claimed or (stats.oldest_due is not None and stats.oldest_due <= at)
    return stats.dead >= _DEAD and not waits
