"""What tests of presence share: a watched store that keeps notes, and how to kill a scheduler."""

import asyncio
from datetime import timedelta
from typing import Any, Final

from tests.core.engine_kit import WakingStore, at, kill, message, scheduler, sleeping, until

from duly import Client, Scheduler, SchedulerInfo
from duly._values.presence import PREFIX, announced
from duly._values.processes import Process
from duly.memory import MemoryStore


class Noted(WakingStore):
    """The same, and it keeps notes and ends leases."""

    inner: MemoryStore

    async def read_note(self, name: str) -> Any:
        return await self._call("read_note", lambda: self.inner.read_note(name))

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> Any:
        return await self._call("write_note", lambda: self.inner.write_note(name, value, revision))

    async def notes(self, prefix: str) -> Any:
        return await self._call("notes", lambda: self.inner.notes(prefix))

    async def lapse(self, owner: str) -> Any:
        return await self._call("lapse", lambda: self.inner.lapse(owner))


class OfOneHost(Noted):
    """The same, for processes of one host that all wake when anything is written."""

    one_host = True


async def listed(store: Any) -> dict[str, SchedulerInfo]:
    """Who is on the list, by instance or else by owner."""
    async with Client(store, load_plugins=False) as client:
        return {each.instance or each.owner: each for each in await client.schedulers()}


def owner_of(running: Scheduler) -> str:
    """What a scheduler that runs is called in its leases."""
    assert running._engine is not None
    return running._engine.owner


PROCESS: Final = Process("h", 1, 2, "elsewhere")


def info(owner: str, **more: Any) -> SchedulerInfo:
    """What a scheduler says of itself, unless told otherwise."""
    return SchedulerInfo(
        **{
            "owner": owner,
            "instance": None,
            "host": "h",
            "pid": 1,
            "process_started": at(-10),
            "version": "0.1.0",
            "since": at(0),
            "transport": "Probed",
            "slots_used": 0,
            "slots": 10,
            "claimed": 0,
            "outage": None,
            "lease": timedelta(seconds=60),
            "seen": at(0),
            **more,
        }
    )


async def put(store: Noted, owner: str, process: Process = PROCESS, **more: Any) -> None:
    """Announce a scheduler that is none."""
    value = announced(info(owner, **more), process)
    assert await store.inner.write_note(PREFIX + owner, value, None)


async def killed(store: Any, claims: int, **options: Any) -> str:
    """A scheduler that was killed with so many messages in hand; what it was called."""
    async with scheduler(store, sleeping(10_000), publish_timeout=HOURS, **options) as victim:
        before = (await store.inner.stats()).claimed  # by others
        await victim.schedule_many(
            [message("held", id=f"held-{before + n}") for n in range(claims)]
        )
        run = asyncio.create_task(victim.start())
        await until(lambda: victim._engine is not None)
        owner = owner_of(victim)
        engine = victim._engine
        assert engine is not None
        await until(
            lambda: (
                sum(hand.left for hand in engine.hands.held.values()) == claims
                and engine.presence._said is not None
            )
        )
        await kill(victim)
        await asyncio.wait([run])
    return owner


HOURS: Final = timedelta(hours=10)
