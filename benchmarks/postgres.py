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
import itertools
import multiprocessing
import platform
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
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
Measure = Callable[[str, int, int], Coroutine[Any, Any, float]]
Work = Callable[[], Coroutine[Any, Any, Any]]
BATCH = 500


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


class Pace:
    """The rate from the end of the first batches on, when all is connected and prepared."""

    def __init__(self, count: int) -> None:
        self.done = asyncio.Event()
        self._left = count
        self._warm = count - count // 10
        self._counted = 0
        self._start = self._end = 0.0

    def note(self, delivered: int) -> None:
        self._left -= delivered
        self._end = time.perf_counter()
        if not self._start and self._left <= self._warm:
            self._start, self._counted = self._end, self._left
        if self._left <= 0:
            self.done.set()

    @duly.hookimpl
    def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
        self.note(len(deliveries))

    @property
    def rate(self) -> float:
        return self._counted / max(self._end - self._start, 1e-9)


async def ours_drain(url: str, count: int, batch: int) -> float:
    """Messages per second through a scheduler that finds them stored, and what is not due yet."""
    pace = Pace(count)
    async with (
        duly.Scheduler(url, NoTransport(), batch_size=batch, plugins=[pace]) as scheduler,
        scheduler.running(),
    ):
        await pace.done.wait()
    return pace.rate


async def bare_drain(url: str, count: int, batch: int) -> float:
    """The statement of claims in a loop, rows left as they come; each settles the batch before."""
    pace = Pace(count)
    async with bare(url, planned=True) as connection:
        take = await connection.prepare(
            NAMES(TAKE)
            .replace("$4::timestamptz", "$4::text::timestamptz")
            .replace("> $5", "> $5::text::timestamptz")
        )
        tokens: list[str] = []
        since, claimed = YEAR_1, 0
        for number in itertools.count():
            token = secrets.token_hex(16)
            rows = await take.fetch(
                None,
                tokens,
                batch,
                since,
                since,
                token,
                LEASE,
                "bench",
                True,
                False,  # an argument of SQL
            )
            if number:
                pace.note(claimed)
            tokens, claimed = [token], len(rows) - 1
            if not claimed:
                return pace.rate
            since = YEAR_1 if number % 20 == 0 else rows[-1]["about"][4].isoformat()
    raise AssertionError("unreachable")


async def both_drain(url: str, count: int, batch: int, *, measure: Measure) -> float:
    """The rate of two processes on one backlog, their start included."""
    start = time.perf_counter()
    await asyncio.to_thread(in_processes, [functools.partial(measure, url, count, batch)] * 2)
    return count / (time.perf_counter() - start)


async def bare_drain_all(url: str, count: int, batch: int) -> float:
    """The bare loop, which ends when nothing is left whoever took it."""
    return await bare_drain(url, batch, batch)


async def ours_both_drain(url: str, count: int, batch: int) -> float:
    """Run a scheduler until the store is empty."""
    async with (
        duly.Scheduler(url, NoTransport(), batch_size=batch) as scheduler,
        scheduler.running(),
    ):
        while (stats := await scheduler.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # another process empties it too
            await asyncio.sleep(0.05)
    return 0


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

    async with (
        duly.Scheduler(url, NoTransport(), plugins=[Watch()]) as scheduler,
        scheduler.running(),
    ):
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
        ask = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1"
        async with bare(with_database(url, "postgres")) as connection:
            before = await connection.fetchval(ask, DATABASE)
            await asyncio.sleep(seconds)
            after = await connection.fetchval(ask, DATABASE)
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


class Bench:
    """Measures one figure after the other, and prints them."""

    def __init__(self, url: str, count: int, rounds: int) -> None:
        self.url = url
        self.count = count
        self._rounds = rounds

    def drain(self, batch: int) -> None:
        self._drain(f"drain, batches of {batch}", batch, ours_drain, bare_drain)

    def drain_by_two(self, batch: int) -> None:
        self._drain(
            f"drain, batches of {batch}, two processes",
            batch,
            functools.partial(both_drain, measure=ours_both_drain),
            functools.partial(both_drain, measure=bare_drain_all),
        )

    def schedule(self) -> None:
        few = self.count // 10
        for what, count, ours, size, bare_size in (
            ("one by one", few, ours_together, 1, 1),
            ("200 at a time (bare: bulk of 500)", self.count, ours_together, 200, 500),
            ("bulk of 500", self.count, ours_bulk, 500, 500),
        ):
            self._beside(
                f"schedule, {what}",
                functools.partial(ours, self.url, count, size),
                functools.partial(bare_bulk, self.url, count, bare_size),
                functools.partial(calm, self.url),
            )

    def million(self) -> None:
        for future in (10_000, 1_000_000):
            asyncio.run(emptied(self.url))
            asyncio.run(fill(self.url, future, days=1))
            rates = []
            for _ in range(self._rounds):
                asyncio.run(fill(self.url, self.count))
                rates.append(asyncio.run(ours_drain(self.url, self.count, BATCH)))
            print(f"\ndrain beside {future:,} future ones: {statistics.median(rates):,.0f}/s")
            print(f"MB: {asyncio.run(sizes(self.url))}", flush=True)

    def latenesses(self) -> None:
        asyncio.run(emptied(self.url))
        median, late = asyncio.run(lateness(self.url, 500))
        print(f"\nlateness at 50/s: p50 {median:.1f} ms, p99 {late:.1f} ms", flush=True)

    def idle(self) -> None:
        asyncio.run(emptied(self.url))
        print(f"\nidle: {asyncio.run(idle(self.url, 20)):.2f} transactions/s", flush=True)

    def _drain(self, what: str, batch: int, ours: Measure, theirs: Measure) -> None:
        self._beside(
            what,
            functools.partial(ours, self.url, self.count, batch),
            functools.partial(theirs, self.url, self.count, batch),
            functools.partial(fill, self.url, self.count),
        )

    def _beside(self, what: str, ours: Work, theirs: Work, prepare: Work) -> None:
        rates: tuple[list[float], list[float]] = [], []
        for _ in range(self._rounds):
            for measure, found in zip((ours, theirs), rates, strict=True):
                asyncio.run(emptied(self.url))
                asyncio.run(prepare())
                found.append(asyncio.run(measure()))
        mine, other = map(statistics.median, rates)
        print(f"| {what} | {mine:,.0f} | {other:,.0f} | {mine / other:.0%} |", flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="postgresql://postgres@127.0.0.1/postgres")
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="drain,drain_by_two,schedule,million,latenesses,idle")
    asked = parser.parse_args()
    only = asked.only.split(",")
    asyncio.run(recreate(asked.url))
    bench = Bench(with_database(asked.url, DATABASE), asked.messages, asked.rounds)
    try:
        asyncio.run(fill(bench.url, 1))
        print(
            f"Python {platform.python_version()}, {asked.messages} messages, {asked.rounds} rounds"
        )
        print("\n| what | messages/s | bare asyncpg | share |\n|---|---|---|---|", flush=True)
        for name in ("drain", "drain_by_two"):
            if name in only:
                for batch in (100, 500, 1000):
                    getattr(bench, name)(batch)
        for name in ("schedule", "million", "latenesses", "idle"):
            if name in only:
                getattr(bench, name)()
    finally:
        asyncio.run(recreate(asked.url, drop=True))


if __name__ == "__main__":
    main()
