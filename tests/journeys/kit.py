"""What the journeys share: an SQLite file, schedulers in processes of their own, and the evidence."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from duly import Client, Message, Stats, after

PROGRAM: Final = Path(__file__).with_name("worker.py")
PATIENCE: Final = 45.0  # seconds until a test gives up hope; none measures how long it takes
HOUR: Final = timedelta(hours=1)
MICROSECOND: Final = timedelta(microseconds=1)


class Note(NamedTuple):
    """A line of a journal: ``what`` happened to a message, and when by the store's clock.

    begun and done: a publish. claimed and settled: what observers were told. closed: the
    transport. health: how the scheduler is doing.
    """

    what: str
    at: datetime
    id: str = ""
    delivery_id: str = ""
    attempt: int = 0
    scheduled_at: datetime | None = None
    status: str = ""
    reason: str = ""


class Worker:
    """A scheduler in a process of its own."""

    def __init__(self, process: Process, journal: Path) -> None:
        self.process = process
        self._journal = journal

    def notes(self, *what: str) -> list[Note]:
        """What it has noted so far, of these kinds or all."""
        text = self._journal.read_text()
        lines = map(json.loads, text[: text.rfind("\n") + 1].splitlines())
        return [_note(line) for line in lines if not what or line["what"] in what]

    def ids(self, what: str) -> list[str]:
        """The ids of what it noted like that, in this order."""
        return [note.id for note in self.notes(what)]

    def unsettled(self) -> set[str]:
        """The ids of what it has published, or begun to, and maybe not told the store of."""
        return set(self.ids("begun")) - set(self.ids("settled"))

    async def freeze(self) -> None:
        """Stop it in its tracks, as a host does that hangs."""
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on as if nothing had happened."""
        self.process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """End it without warning."""
        self.process.kill()
        assert await self.ended() == -signal.SIGKILL

    async def stop(self) -> None:
        """Ask it to end, after which it drains and ends well."""
        self.process.terminate()
        assert await self.ended() == 0

    async def ended(self) -> int:
        """Its return code, when it has ended."""
        async with asyncio.timeout(PATIENCE):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    async def health(self) -> Note:
        """How it says it is doing."""
        known = len(self.notes("health"))
        self.process.send_signal(signal.SIGUSR1)
        await until(lambda: len(self.notes("health")) > known)
        return self.notes("health")[-1]


class Journey:
    """An SQLite file, the client of those who schedule, and all workers there ever were."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journey.db"
        self.client = Client(f"sqlite:///{self.path}")
        self.workers: list[Worker] = []

    async def start(self, environment: dict[str, str] | None = None, **options: Any) -> Worker:
        """A worker that is about to claim; see worker.py for the options."""
        journal = self.folder / f"journal-{len(self.workers)}"
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        process = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, self.path, journal, *given,
            stdout=PIPE, env={**os.environ, **(environment or {})},
        )  # fmt: skip
        worker = Worker(process, journal)
        self.workers.append(worker)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await process.stdout.readline() == b"READY\n"
        return worker

    async def end(self) -> None:
        """End all workers that are left, however they are doing."""
        for worker in self.workers:
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.ended()

    def notes(self, *what: str) -> list[Note]:
        """What all workers have noted, of these kinds or all, one worker after the other."""
        return [note for worker in self.workers for note in worker.notes(*what)]

    def count(self, what: str) -> Counter[str]:
        """How often each id was noted like that."""
        return Counter(note.id for note in self.notes(what))

    def early(self) -> list[Note]:
        """Publishes begun before their time, by the clock of their worker."""
        return [
            note
            for note in self.notes("begun")
            if note.scheduled_at is not None and note.at < note.scheduled_at
        ]

    async def emptied(self, but: int = 0) -> Stats:
        """Wait until nothing is in hand and no more than that is left to deliver."""
        async with asyncio.timeout(PATIENCE):
            while True:
                stats = await self.client.stats()
                if stats.scheduled <= but and not stats.claimed:
                    return stats
                await asyncio.sleep(0.02)


def batch(count: int, name: str = "quick", *, due: float = 0.0, **more: Any) -> list[Message]:
    """That many messages a microsecond apart, the first of them due in so many seconds."""
    first, prefix = after(seconds=due), more.pop("prefix", name)
    return [
        Message(name, id=f"{prefix}-{number}", scheduled_at=first + MICROSECOND * number, **more)
        for number in range(count)
    ]


def slow(count: int, seconds: float, **more: Any) -> list[Message]:
    """That many messages, the publish of each takes so long."""
    return batch(count, "slow", metadata={"seconds": str(seconds)}, **more)


def ids_of(messages: Sequence[Message]) -> set[str]:
    return {message.id for message in messages}


async def until(holds: Callable[[], object]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.02)


def _note(line: dict[str, Any]) -> Note:
    moments = {
        name: datetime.fromisoformat(line[name]) for name in ("at", "scheduled_at") if name in line
    }
    return Note(**{**line, **moments})
