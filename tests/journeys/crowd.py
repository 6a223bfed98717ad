"""A crowd for soak tests: slow names that never end, one that is limited, and one in haste."""

import asyncio
import itertools
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Final

from tests.journeys.kit import Journey, Worker

from duly import Message, after

__all__ = [
    "HASTE", "KILLED_EVERY", "LEASE", "LIMITS", "SECONDS", "SLOTS", "Feeder", "killing", "name_of",
    "starting", "told", "unexplained",
]  # fmt: skip

SECONDS: Final = float(os.environ.get("DULY_SOAK_SECONDS", "600"))
HASTE: Final = "quick"
TAKES: Final = {"slow.a": 1.0, "slow.b": 0.5, "slow.narrow": 0.5, "slow.stuck": 8.0}
"""Seconds of a publish. Of 16 slots each may have a quarter, so that some are left for others."""
LIMITS: Final = {"slow.narrow": 1}
SLOTS: Final = 16
LEASE: Final = 5.0  # seconds
KILLED_EVERY: Final = 7.0  # seconds
DEATHS: Final = (
    1000  # of its schedulers: a slow one meets many in ten minutes, and none is to be buried
)

Put = Callable[[Sequence[Message]], Awaitable[object]]


class Feeder:
    """Schedules, so that the slow names always have a backlog, and the one in haste a steady flow.

    ``done`` tells how many of each name were delivered.
    """

    def __init__(self, put: Put, done: Callable[[], Counter[str]], backlog: int) -> None:
        self._put = put
        self._done = done
        self._backlog = backlog
        self._numbers = itertools.count()
        self.scheduled: Counter[str] = Counter()
        self.ids: set[str] = set()

    async def run(self, seconds: float) -> None:
        """Go on for so long."""
        self._until = asyncio.get_running_loop().time() + seconds
        await asyncio.gather(self._crowd(), self._flow())

    async def _crowd(self) -> None:
        while self._goes_on():
            done = self._done()
            for name in TAKES:
                # Of what takes long there is less, so that it is over soon after the others.
                wanted = max(2, int(self._backlog / max(1.0, TAKES[name])))
                lacking = wanted - (self.scheduled[name] - done[name])
                if lacking > 0:
                    await self._schedule(name, lacking, 0)
            await asyncio.sleep(1)

    async def _flow(self) -> None:
        while self._goes_on():
            await self._schedule(HASTE, 2, 0.4)
            await asyncio.sleep(0.2)

    def _goes_on(self) -> bool:
        return asyncio.get_running_loop().time() < self._until

    async def _schedule(self, name: str, count: int, due: float) -> None:
        metadata = {"seconds": str(TAKES.get(name, 0))}
        messages = [
            Message(
                name,
                id=f"{name}-{next(self._numbers)}",
                scheduled_at=after(seconds=due),
                metadata=metadata,
            )
            for _ in range(count)
        ]
        self.scheduled[name] += count
        self.ids |= {message.id for message in messages}
        await self._put(messages)


def name_of(id: str) -> str:
    """The event name of one that was scheduled here."""
    return id.rpartition("-")[0]


async def starting(journey: Journey) -> Worker:
    """One more scheduler."""
    return await journey.start(
        lease=LEASE, slots=SLOTS, batch=50, limits=json.dumps(LIMITS), deaths=DEATHS
    )


async def killing(journey: Journey, running: list[Worker], over: asyncio.Event) -> list[Worker]:
    """Kill and replace one of those that run every few seconds until ``over``; those killed."""
    killed: list[Worker] = []
    while not over.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), KILLED_EVERY)
            break
        victim = running.pop(0)
        await victim.kill()
        killed.append(victim)
        running.append(await starting(journey))
    return killed


def unexplained(journey: Journey, killed: Sequence[Worker]) -> set[str]:
    """What was begun more often than kills explain, and publishes cut short as a claim ran out."""
    begun, cut = journey.count("begun"), journey.count("cut")
    lost = Counter(id for worker in killed for id in worker.unsettled())
    return {id for id, times in begun.items() if times - 1 > lost[id] + cut[id]}


def told(store: str, lateness: Sequence[timedelta], facts: str) -> str:
    """What to tell of how late those in haste were."""
    late = sorted(each.total_seconds() * 1000 for each in lateness)
    p50, p99 = late[len(late) // 2], late[int(len(late) * 0.99)]
    return (
        f"{store}: {len(late)} in haste: p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
        f"max {late[-1]:.0f} ms; {facts}"
    )
