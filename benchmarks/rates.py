"""Drain and schedule rates of the stores that need no server, beside bare loops in the same run.

Rounds are interleaved and medians given, so that what else the machine does weighs on both sides
alike. ``python benchmarks/rates.py``; ``--messages`` and ``--rounds`` make it longer or shorter.
"""

import argparse
import asyncio
import gc
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from pathlib import Path

import duly
from duly.store import Group, Settle
from duly_sqlite import sql
from duly_sqlite.file import writer
from duly_sqlite.storing import row

LEASE = timedelta(minutes=5)
BATCH = 500
Measure = Callable[[int, Path], Coroutine[None, None, float]]


class NoTransport:
    """Accepts everything at once."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def publish(self, envelope: duly.Envelope) -> None: ...


def due(count: int) -> list[duly.Message]:
    """Messages of 100 bytes that are due already, under ten event names."""
    past = duly.after(seconds=-10)
    return [duly.Message(f"event-{n % 10}", bytes(100), scheduled_at=past) for n in range(count)]


def chunks(messages: Sequence[duly.Message]) -> list[Sequence[duly.Message]]:
    """As many as are stored at a time."""
    return [messages[start : start + BATCH] for start in range(0, len(messages), BATCH)]


async def drain(url: str, count: int) -> float:
    """Messages per second from a store through a scheduler."""
    async with duly.Scheduler(url, NoTransport(), batch_size=BATCH) as scheduler:
        for chunk in chunks(due(count)):
            await scheduler.schedule_many(chunk)
        gc.collect()
        start = time.perf_counter()
        async with scheduler.running():
            while (stats := await scheduler.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # there is nothing to wait for
                await asyncio.sleep(0.01)
            return count / (time.perf_counter() - start)


async def schedule_bulk(url: str, count: int) -> float:
    """Messages per second by ``schedule_many`` of 500; the messages are made before."""
    messages = chunks(due(count))
    async with duly.Client(url) as client:
        start = time.perf_counter()
        for chunk in messages:
            await client.schedule_many(chunk)
        return count / (time.perf_counter() - start)


async def schedule_together(url: str, count: int) -> float:
    """Messages per second by ``schedule`` from 200 callers at a time."""
    messages = iter(due(count))
    async with duly.Client(url) as client:

        async def caller() -> None:
            for message in messages:
                await client.schedule(message)

        start = time.perf_counter()
        await asyncio.gather(*[caller() for _ in range(200)])
        return count / (time.perf_counter() - start)


async def memory_drain(count: int, folder: Path) -> float:
    return await drain("memory://", count)


async def memory_bare(count: int, folder: Path) -> float:
    store = duly.MemoryStore()
    for chunk in chunks(due(count)):
        await store.put([Group(chunk)])
    gc.collect()
    start = time.perf_counter()
    settle: Sequence[Settle] = ()
    while True:
        batch = await store.claim(limit=BATCH, lease=LEASE, owner="bench", settle=settle)
        if batch.token is None:
            return count / (time.perf_counter() - start)
        settle = [Settle(batch.token)]


async def sqlite_drain(count: int, folder: Path) -> float:
    return await drain(f"sqlite:///{folder / 'drain.db'}", count)


async def sqlite_bare(count: int, folder: Path) -> float:
    """The statements of claim and settle, one transaction a batch, rows left as they come."""
    db = writer(folder / "bare.db")
    insert(db, due(count))
    start = time.perf_counter()
    token, keys = "", "[]"
    for number in range(count // BATCH + 1):
        now = time.time_ns() // 1000
        db.execute("BEGIN IMMEDIATE")
        db.execute(sql.HEADS).fetchone()
        db.execute(sql.HELD, (token, now)).fetchone()
        db.execute(sql.END_LEASE, (token,))
        db.execute(sql.REMOVE_ALL, (keys,))
        db.execute(sql.ANY_LAPSED, (now,)).fetchone()
        rows = db.execute(sql.TAKE, (0, now, BATCH)).fetchall()
        if rows:
            db.execute(sql.LEAVE_LINE_UP_TO, (0, *rows[-1][:2]))
            token, keys = str(number), str([row[1] for row in rows])
            db.execute(sql.LEASE, (token, now + LEASE // timedelta(microseconds=1), "bench", keys))
        db.execute(sql.HEADS).fetchone()
        db.execute("COMMIT")
    rate = count / (time.perf_counter() - start)
    db.close()
    return rate


def insert(db: sqlite3.Connection, messages: Sequence[duly.Message]) -> float:
    """Seconds to store records made before, 500 a transaction."""
    records = [[row(message) for message in chunk] for chunk in chunks(messages)]
    start = time.perf_counter()
    for chunk in records:
        db.execute("BEGIN IMMEDIATE")
        (last,) = db.execute(sql.LAST_KEY).fetchone()
        db.executemany(sql.INSERT, chunk)
        db.execute(sql.LINE_UP_NEW, (last,))
        db.execute("COMMIT")
    return time.perf_counter() - start


async def sqlite_bulk(count: int, folder: Path) -> float:
    return await schedule_bulk(f"sqlite:///{folder / 'bulk.db'}", count)


async def sqlite_together(count: int, folder: Path) -> float:
    return await schedule_together(f"sqlite:///{folder / 'together.db'}", count)


async def sqlite_insert(count: int, folder: Path) -> float:
    db = writer(folder / "insert.db")
    rate = count / insert(db, due(count))
    db.close()
    return rate


async def memory_bulk(count: int, folder: Path) -> float:
    return await schedule_bulk("memory://", count)


async def memory_together(count: int, folder: Path) -> float:
    return await schedule_together("memory://", count)


ROWS: Sequence[tuple[str, Measure, str, Measure | None]] = (
    ("memory: drain", memory_drain, "claim and settle alone", memory_bare),
    ("memory: schedule, bulk", memory_bulk, "", None),
    ("memory: schedule, 200 at a time", memory_together, "", None),
    ("SQLite: drain", sqlite_drain, "the same SQL in a loop", sqlite_bare),
    ("SQLite: schedule, bulk", sqlite_bulk, "the same SQL in a loop", sqlite_insert),
    ("SQLite: schedule, 200 at a time", sqlite_together, "the same, bulk", sqlite_insert),
)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    print(
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, synchronous=FULL; "
        f"{wanted.messages} messages, batches of {BATCH}, {wanted.rounds} rounds, medians\n"
    )
    print("| what | messages/s | us each | beside | messages/s | share |")
    print("|---|---|---|---|---|---|")
    for name, ours, beside, bare in ROWS:
        rates: tuple[list[float], list[float]] = [], []
        for _ in range(wanted.rounds):
            for measure, found in zip((ours, bare), rates, strict=True):
                if measure is not None:
                    with tempfile.TemporaryDirectory() as folder:
                        found.append(asyncio.run(measure(wanted.messages, Path(folder))))
        rate = statistics.median(rates[0])
        cells = [name, f"{rate:,.0f}", f"{1e6 / rate:.1f}"]
        if bare is None:
            cells += ["", "", ""]
        else:
            other = statistics.median(rates[1])
            cells += [beside, f"{other:,.0f}", f"{rate / other:.0%}"]
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
