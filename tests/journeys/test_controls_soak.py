"""Pauses and limits for minutes, on each store: all the time other ones, with kills and freezes.

As long as DULY_SOAK_SECONDS says, 600 unless told otherwise; ``-s`` shows what came of it.
"""

import asyncio
import os
import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from tests.journeys.controlled import SECOND, begun, over_the_rate, within
from tests.journeys.kit import Journey, Worker, batch, ids_of
from tests.servers.postgres import PostgresServer
from tests.servers.redis import RedisServer

SECONDS: Final = float(os.environ.get("DULY_SOAK_SECONDS", "600"))
LEASE: Final = 5.0  # seconds
DEATHS: Final = 1000  # of its schedulers: none is to be buried for them
RATE: Final = 10
PAUSED, LIMITED, FLOWS = "slow.paused", "quick.limited", "quick.flows"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 900)]


class Soak:
    """What is done to three schedulers, and what was said meanwhile."""

    def __init__(self, journey: Journey) -> None:
        self.journey = journey
        self.client = journey.client
        self.dice = random.Random(7)
        self.ids: set[str] = set()
        self.killed: list[Worker] = []
        self.frozen: list[Worker] = []
        self.paused: list[tuple[datetime, datetime]] = []
        self.running: list[Worker] = []

    async def start(self) -> None:
        """One more scheduler."""
        self.running.append(
            await self.journey.start(slots=16, batch=50, lease=LEASE, deaths=DEATHS)
        )

    async def feed(self) -> None:
        """Schedule what keeps the names busy."""
        for number in range(10**6):
            new = [
                *batch(8, LIMITED, prefix=f"{LIMITED}-{number}"),
                *batch(5, FLOWS, prefix=f"{FLOWS}-{number}"),
                *batch(10, PAUSED, prefix=f"{PAUSED}-{number}", metadata={"seconds": "0.05"}),
            ]
            await self.client.schedule_many(new)
            self.ids |= ids_of(new)
            await asyncio.sleep(1)

    async def trouble(self) -> None:
        """Kill one, or freeze one for a while, every few seconds."""
        while True:
            await asyncio.sleep(5)
            victim = self.running.pop(0)
            if self.dice.random() < 0.5:
                await victim.kill()
                self.killed.append(victim)
                await self.start()
            else:
                await self.journey.freeze(victim)
                self.frozen.append(victim)
                await asyncio.sleep(self.dice.choice([0.5, 2.0, LEASE + 1]))
                victim.thaw()
                self.running.append(victim)

    async def change(self) -> None:
        """Pause and resume one name, and change limits of others again and again."""
        for number in range(10**6):
            await self.client.pause(PAUSED)
            since = datetime.now(UTC)
            for _ in range(6):
                await asyncio.sleep(0.5)
                await self.client.limit(f"other.{number % 40}", rate=1 + number % 7)
                await self.client.limit("slow.*", in_flight=2 + number % 3)
            self.paused.append((since + SECOND, datetime.now(UTC)))
            await self.client.resume(PAUSED)
            await asyncio.sleep(2)
            await self.client.limit(f"other.{number % 40}")


async def endure(journey: Journey) -> None:
    soak = Soak(journey)
    await journey.client.limit(LIMITED, rate=RATE)
    for _ in range(3):
        await soak.start()
    await asyncio.sleep(1.1)
    tasks = [asyncio.create_task(each()) for each in (soak.feed, soak.trouble, soak.change)]
    done, _ = await asyncio.wait(tasks, timeout=SECONDS, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for task in done:
        task.result()
    for worker in soak.journey.workers:
        if worker.process.returncode is None:
            worker.thaw()
    await journey.client.resume(PAUSED)
    async with asyncio.timeout(300):
        while (stats := await journey.client.stats()).scheduled or stats.claimed:  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.5)
    limited, paused = begun(journey.workers, LIMITED), begun(journey.workers, PAUSED)
    while_paused = sum(len(within(paused, *each)) for each in soak.paused)
    over = max(over_the_rate(limited, RATE, seconds) for seconds in (1, 5, 30))
    times = journey.count("begun")
    lost = Counter[str]()
    for worker in {*soak.killed, *soak.frozen}:  # one that was frozen may begin a message again
        lost += Counter(worker.ids("begun")) - Counter(worker.ids("settled"))
    unexplained = {id for id, number in times.items() if number - 1 > lost[id]}
    facts = {
        "scheduled": len(soak.ids),
        "kills": len(soak.killed),
        "freezes": len(soak.frozen),
        "pauses": len(soak.paused),
        "lost": len(soak.ids - set(journey.count("done"))),
        "early": len(journey.early()),
        "begun again": sum(number > 1 for number in times.values()),
        "not explained": len(unexplained),
        "begun while paused": while_paused,
        "over the rate": over,
        "dead": stats.dead,
    }
    print(journey.store.partition(":")[0], facts)  # noqa: T201  # it is asked for
    wrong = ("lost", "early", "not explained", "begun while paused", "over the rate", "dead")
    assert not any(facts[each] for each in wrong), facts


async def test_on_a_file(tmp_path: Path) -> None:
    async with Journey(tmp_path, f"sqlite:///{tmp_path / 'controls.db'}") as journey:
        await endure(journey)


async def test_on_redis(tmp_path: Path) -> None:
    with RedisServer() as server:
        async with Journey(tmp_path, server.url) as journey:
            await endure(journey)


async def test_on_postgres(tmp_path: Path) -> None:
    with PostgresServer() as server:
        async with Journey(tmp_path, server.url) as journey:
            await endure(journey)
