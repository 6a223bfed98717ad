"""Rates of the PostgreSQL store beside the same statements in a bare asyncpg loop.

Rounds are interleaved and medians given, so that what else the machine does weighs on both sides
alike. ``python benchmarks/postgres.py --url postgresql://postgres@localhost/postgres``: a user who
may create databases; all is done in one that is made for it and dropped. ``--only drain`` and so on
picks some of the figures.
"""

import argparse
import asyncio
import contextlib
import functools
import gc
import multiprocessing
import platform
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

import duly
from duly.record import to_record
from duly.store import Group
from duly_postgres.connector import SETTINGS
from duly_postgres.names import Names
from duly_postgres.plugin import store_from_url
from duly_postgres.sql_claiming import TAKE
from duly_postgres.sql_storing import GIVEN_COLUMNS, PUT

NAMES = Names("scheduled_messages", "public")
DATABASE = "duly_bench"
LEASE = timedelta(minutes=5)
YEAR_1, YEAR_10000 = "0001-01-01 00:00:00+00", "10000-01-01 00:00:00+00"
Measure = Callable[[str, int, int], Awaitable[float]]


class NoTransport:
    """Accepts everything at once."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, envelope: duly.Envelope) -> None: ...


def messages(count: int, **after: float) -> list[duly.Message]:
    """Messages of 100 bytes under ten event names, due already unless told otherwise."""
    moment = duly.after(**(after or {"seconds": -10}))
    return [
        duly.Message(f"event-{n % 10}", bytes(100), scheduled_at=moment + timedelta(microseconds=n))
        for n in range(count)
    ]


def chunks(items: Sequence[duly.Message], size: int) -> Iterator[Sequence[duly.Message]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


async def fill(url: str, count: int, **after: float) -> None:
    """Store messages, and let the server settle down."""
    store = store_from_url(url)
    await store.open()
    for chunk in chunks(messages(count, **after), 5000):
        await store.put([Group(chunk)])
    await store.close()
    await calm(url)


async def calm(url: str) -> None:
    """Clean up behind what was measured before, so that it does not weigh on what comes now."""
    async with bare(url) as connection:
        for name in ("scheduled_messages", "scheduled_messages_due", "scheduled_messages_leases"):
            await connection.execute(f"VACUUM ANALYZE {name}")
        await connection.execute("CHECKPOINT")
    gc.collect()


@contextlib.asynccontextmanager
async def bare(url: str, *, planned: bool = False) -> AsyncIterator[Any]:
    """A connection of asyncpg as it comes, with the planner's settings of the store if wanted."""
    connection = await asyncpg.connect(url, server_settings=SETTINGS if planned else {})
    try:
        yield connection
    finally:
        await connection.close()


# --- drain


async def ours_drain(url: str, count: int, batch: int) -> float:
    """Messages per second through a scheduler that finds them stored, and what is not due yet."""
    gone, left = asyncio.Event(), count

    class Watch:
        @duly.hookimpl
        def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
            nonlocal left
            left -= len(deliveries)
            if left <= 0:
                gone.set()

    async with duly.Scheduler(url, NoTransport(), batch_size=batch, plugins=[Watch()]) as scheduler:
        await scheduler.health()
        start = time.perf_counter()
        async with scheduler.running():
            await gone.wait()
            return count / (time.perf_counter() - start)


async def bare_drain(url: str, count: int, batch: int) -> float:
    """The statement of claims in a loop, rows left as they come; each settles the batch before."""
    async with bare(url, planned=True) as connection:
        take = await connection.prepare(
            NAMES(TAKE)
            .replace("$4::timestamptz", "$4::text::timestamptz")
            .replace("> $5", "> $5::text::timestamptz")
        )
        start = time.perf_counter()
        tokens: list[str] = []
        since = YEAR_1
        number = 0
        while True:
            token = f"{start}-{number}"
            rows = await take.fetch(
                None,
                tokens,
                batch,
                since,
                since,
                token,
                LEASE,
                "bench",
                True,  # an argument of SQL
            )
            tokens = [token]
            number += 1
            if len(rows) == 1:
                return count / (time.perf_counter() - start)
            if number % 20 == 0:
                since = YEAR_1
            else:
                since = rows[-1]["about"][4].isoformat()


async def both_drain(url: str, count: int, batch: int, *, measure: Measure) -> float:
    """The rate of two processes on one backlog."""
    start = time.perf_counter()
    await asyncio.to_thread(in_processes, [functools.partial(measure, url, count, batch)] * 2)
    return count / (time.perf_counter() - start)


def in_processes(works: Sequence[Callable[[], Any]]) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_run, args=(work,)) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def _run(work: Callable[[], Any]) -> None:
    asyncio.run(work())


# --- schedule


async def ours_bulk(url: str, count: int, batch: int) -> float:
    made = list(chunks(messages(count, hours=1), batch))
    async with duly.Client(url) as client:
        await client.stats()
        start = time.perf_counter()
        for chunk in made:
            await client.schedule_many(chunk)
        return count / (time.perf_counter() - start)


async def ours_together(url: str, count: int, callers: int) -> float:
    made = iter(messages(count, hours=1))
    async with duly.Client(url) as client:
        await client.stats()

        async def caller() -> None:
            for message in made:
                await client.schedule(message)

        start = time.perf_counter()
        await asyncio.gather(*[caller() for _ in range(callers)])
        return count / (time.perf_counter() - start)


async def bare_bulk(url: str, count: int, batch: int) -> float:
    """The statement that stores, its arrays made before."""
    calls = []
    for chunk in chunks(messages(count, hours=1), batch):
        records = [to_record(message)._asdict() for message in chunk]
        for record, message in zip(records, chunk, strict=True):
            record |= {name: getattr(message, name) for name in record if name.endswith("_at")}
        arrays = [[record[name] for record in records] for name in GIVEN_COLUMNS]
        calls.append([None, [0] * len(chunk), *arrays])
    async with bare(url, planned=True) as connection:
        put = await connection.prepare(NAMES(PUT))
        start = time.perf_counter()
        for call in calls:
            await put.fetch(*call)
        return count / (time.perf_counter() - start)


# --- the rest


async def lateness(url: str, count: int) -> tuple[float, float]:
    """Milliseconds, median and 99th of a hundred, of messages due at 50 a second."""
    late: list[float] = []

    class Watch:
        @duly.hookimpl
        def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
            late.extend(each.lateness.total_seconds() * 1000 for each in deliveries)

    async with duly.Scheduler(url, NoTransport(), plugins=[Watch()]) as scheduler:
        async with scheduler.running():
            for _ in range(count):
                moment = duly.after(milliseconds=300)
                await scheduler.schedule(duly.Message("event", scheduled_at=moment))
                await asyncio.sleep(0.02)
            while len(late) < count:  # noqa: ASYNC110  # there is nothing to wait for
                await asyncio.sleep(0.05)
    return statistics.median(late), statistics.quantiles(late, n=100)[98]


async def idle(url: str, seconds: float) -> float:
    """Transactions per second of a scheduler with nothing to do, beside a message of tomorrow."""
    await fill(url, 1, days=1)
    async with duly.Scheduler(url, NoTransport()) as scheduler, scheduler.running():
        await asyncio.sleep(1)
        ask = (
            "SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database "
            f"WHERE datname = '{DATABASE}'"
        )
        async with bare(with_database(url, "postgres")) as connection:
            before = await connection.fetchval(ask)
            await asyncio.sleep(seconds)
            after = await connection.fetchval(ask)
    return float(after - before) / seconds


async def sizes(url: str) -> dict[str, float]:
    """MB of each table with its indexes."""
    async with bare(url) as connection:
        rows = await connection.fetch(
            "SELECT relname, pg_total_relation_size(oid) / 1e6 AS mb FROM pg_class "
            "WHERE relkind = 'r' AND relname LIKE 'scheduled_messages%' ORDER BY 1"
        )
    return {row["relname"]: float(row["mb"]) for row in rows}


# --- the table


def with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def recreate(url: str, *, drop: bool = False) -> None:
    async with bare(url) as connection:
        await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        if not drop:
            await connection.execute(f"CREATE DATABASE {DATABASE}")


async def emptied(url: str) -> None:
    async with bare(url) as connection:
        await connection.execute(
            "TRUNCATE scheduled_messages, scheduled_messages_due, scheduled_messages_leases"
        )


def beside(
    what: str,
    url: str,
    rounds: int,
    ours: Callable[[], Awaitable[float]],
    theirs: Callable[[], Awaitable[float]],
    prepare: Callable[[], Awaitable[None]],
) -> None:
    rates: tuple[list[float], list[float]] = [], []
    for _ in range(rounds):
        for measure, found in zip((ours, theirs), rates, strict=True):
            asyncio.run(_after(prepare, lambda: emptied(url)))
            found.append(asyncio.run(_value(measure)))
    mine, other = map(statistics.median, rates)
    print(f"| {what} | {mine:,.0f} | {other:,.0f} | {mine / other:.0%} |", flush=True)


async def _after(work: Callable[[], Awaitable[None]], first: Callable[[], Awaitable[None]]) -> None:
    await first()
    await work()


async def _value(measure: Callable[[], Awaitable[float]]) -> float:
    return await measure()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="postgresql://postgres@127.0.0.1/postgres")
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="drain,two,schedule,lateness,idle,million")
    asked = parser.parse_args()
    only, count, rounds = asked.only.split(","), asked.messages, asked.rounds
    asyncio.run(recreate(asked.url))
    url = with_database(asked.url, DATABASE)
    asyncio.run(fill(url, 1))
    partial = functools.partial
    try:
        print(f"Python {platform.python_version()}, {count} messages, {rounds} rounds, medians\n")
        print("| what | messages/s | bare asyncpg | share |\n|---|---|---|---|")
        for batch in (100, 500, 1000):
            if "drain" in only:
                beside(
                    f"drain, batches of {batch}", url, rounds,
                    partial(ours_drain, url, count, batch), partial(bare_drain, url, count, batch),
                    partial(fill, url, count),
                )  # fmt: skip
            if "two" in only:
                beside(
                    f"drain, batches of {batch}, two processes", url, rounds,
                    partial(both_drain, url, count, batch, measure=ours_drain),
                    partial(both_drain, url, count, batch, measure=bare_drain),
                    partial(fill, url, count),
                )  # fmt: skip
        if "schedule" in only:
            few = count // 10
            for what, ours, theirs in (
                ("one by one", partial(ours_together, url, few, 1), partial(bare_bulk, url, few, 1)),
                (
                    "200 at a time (bare: bulk of 500)",
                    partial(ours_together, url, count, 200), partial(bare_bulk, url, count, 500),
                ),
                ("bulk of 500", partial(ours_bulk, url, count, 500), partial(bare_bulk, url, count, 500)),
            ):  # fmt: skip
                beside(f"schedule, {what}", url, rounds, ours, theirs, partial(calm, url))
        if "million" in only:
            for future in (10_000, 1_000_000):
                asyncio.run(emptied(url))
                asyncio.run(fill(url, future, days=1))
                rates = []
                for _ in range(rounds):
                    asyncio.run(fill(url, count))
                    rates.append(asyncio.run(ours_drain(url, count, 500)))
                print(
                    f"\ndrain beside {future:,} future ones: {statistics.median(rates):,.0f}/s; "
                    f"MB: {asyncio.run(sizes(url))}"
                )
        asyncio.run(emptied(url))
        if "lateness" in only:
            median, late = asyncio.run(lateness(url, 500))
            print(f"\nlateness at 50/s: p50 {median:.1f} ms, p99 {late:.1f} ms")
        if "idle" in only:
            print(f"\nidle: {asyncio.run(idle(url, 20)):.2f} transactions/s")
    finally:
        asyncio.run(recreate(asked.url, drop=True))


if __name__ == "__main__":
    main()
