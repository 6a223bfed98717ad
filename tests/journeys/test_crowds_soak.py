"""Crowds for minutes, on each store: schedulers are killed, and one name in haste flows all the same.

As long as DULY_SOAK_SECONDS says, 600 unless told otherwise; ``-s`` shows how late it was.
"""

import asyncio
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.journeys.crowd import (
    HASTE,
    KILLED_EVERY,
    LEASE,
    LIMITS,
    SECONDS,
    SLOTS,
    Feeder,
    killing,
    name_of,
    starting,
    told,
    unexplained,
)
from tests.journeys.kit import Journey
from tests.servers.mongo import MongoServer
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

from duly import Client, Filter, State
from duly.memory import MemoryStore
from duly.testing.journal import Journal
from duly.testing.processes import Process, adopt_tasks, undisturbed
from duly.testing.queues import check_flow, check_queues
from duly.transport import Envelope, Limits

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 900)]

DRAINED = 300.0  # seconds in which all that is left must be delivered
BACKLOG = 300  # messages of a name that takes no longer than a second


async def endure(journey: Journey, backlog: int = BACKLOG) -> None:
    def done() -> Counter[str]:
        return Counter(name_of(id) for id in journey.count("done"))

    feeder = Feeder(journey.client.schedule_many, done, backlog)
    journey.patience = DRAINED
    over = asyncio.Event()
    running = [await starting(journey) for _ in range(3)]
    kills = asyncio.create_task(killing(journey, running, over))
    aside = 0

    async def watch() -> None:
        nonlocal aside
        while True:
            aside = max(aside, (await journey.client.stats()).aside)
            await asyncio.sleep(1)

    watching = asyncio.create_task(watch())
    await feeder.run(SECONDS)
    watching.cancel()
    over.set()
    killed = await kills
    async with asyncio.timeout(DRAINED):
        while (stats := await journey.client.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.5)
    for worker in journey.workers:
        if worker not in killed:
            await worker.stop()
    assert set(journey.count("done")) == feeder.ids, "lost"
    assert not journey.early()
    assert stats.dead == 0
    first = {note.id: note for note in reversed(journey.notes("begun"))}
    late = [
        note.at - note.scheduled_at
        for id, note in first.items()
        if name_of(id) == HASTE and note.scheduled_at is not None
    ]
    doubled = sum(times > 1 for times in journey.count("begun").values())
    facts = (
        f"{len(feeder.ids)} in all, {len(killed)} kills, {doubled} begun again, "
        f"{aside} aside at most"
    )
    print(told(journey.store.partition(":")[0], late, facts))  # noqa: T201  # it is asked for
    assert not unexplained(journey, killed)
    assert aside > 0


async def test_on_a_file(tmp_path: Path) -> None:
    async with Journey(tmp_path, f"sqlite:///{tmp_path / 'crowd.db'}") as journey:
        await endure(journey)


async def test_on_redis(tmp_path: Path) -> None:
    with RedisServer() as server:
        async with Journey(tmp_path, server.url) as journey:
            await endure(journey)


async def test_on_postgres(tmp_path: Path) -> None:
    with PostgresServer() as server:
        async with Journey(tmp_path, server.url) as journey:
            await endure(journey)


async def test_on_mongo(tmp_path: Path) -> None:
    with MongoServer() as server:
        database = secrets.token_hex(4)
        async with Journey(tmp_path, f"{server.url}/{database}") as journey:
            await endure(journey, BACKLOG // 5)


async def test_in_memory() -> None:
    loop = asyncio.get_running_loop()
    adopt_tasks(loop)
    try:
        await endure_in_memory()
    finally:
        loop.set_task_factory(None)


async def endure_in_memory() -> None:
    """Processes are parts of this one, so that all that happens is noted and checked."""

    def clock() -> datetime:
        return datetime.now(UTC)

    journal, store = Journal(clock), MemoryStore(clock=clock)
    done: Counter[str] = Counter()

    async def receive(envelope: Envelope) -> None:
        await asyncio.sleep(float(envelope.metadata["seconds"]))
        done[envelope.event_name] += 1

    def start(number: int) -> Process:
        process = Process(
            f"life{number}", store, receive, undisturbed, journal, limits=Limits(by_name=LIMITS),
            stuck_duration=timedelta(seconds=LEASE), max_in_flight=SLOTS, batch_size=50,
        )  # fmt: skip
        _ = process.run(process.scheduler.start())  # it goes on until it is killed
        return process

    running = [start(number) for number in range(3)]

    async def kill() -> None:
        for number in range(3, 10**6):
            await asyncio.sleep(KILLED_EVERY)
            await running.pop(0).kill()
            running.append(start(number))

    caller = Process("caller", store, receive, undisturbed, journal)
    client = Client(caller.store)
    killing = asyncio.create_task(kill())
    since = clock()
    feeder = Feeder(client.schedule_many, lambda: done, BACKLOG)
    await feeder.run(SECONDS)
    killing.cancel()
    async with asyncio.timeout(DRAINED):
        while (stats := await store.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.5)
    for process in running:
        await process.run(process.scheduler.stop())
        await process.kill()
    journal.check(await store.list(Filter(state=State.DEAD)))
    check_queues(journal.entries)
    moved = sum(entry.look.moved for entry in journal.entries if entry.look is not None)
    late = check_flow(journal.entries, HASTE, since, timedelta(seconds=LEASE + 60))
    kills = sum(entry.what == "crashed" for entry in journal.entries) - len(running)
    print(told("memory", late, f"{len(feeder.ids)} in all, {kills} kills, {moved} moved aside"))  # noqa: T201  # it is asked for
    assert moved > 0
