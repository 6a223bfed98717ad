"""What the journeys share: a store, schedulers in processes of their own, and the evidence."""

import asyncio
import itertools
import json
import os
import signal
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

from duly import Client, Message, Stats, after

PROGRAM: Final = Path(__file__).with_name("worker.py")
SQLITE: Final = "sqlite:///"
PATIENCE: Final = 45.0  # seconds until a test gives up hope; none measures how long it takes
HOUR: Final = timedelta(hours=1)
MICROSECOND: Final = timedelta(microseconds=1)

T = TypeVar("T")


class Note(NamedTuple):
    """A line of a journal: ``what`` happened to a message, and when by the store's clock.

    begun, done and cut: a publish. claimed and settled: what observers were told. closed: the
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
        self._known: list[Note] = []
        self._read = 0  # bytes of the journal, which is asked for again and again

    def notes(self, *what: str) -> list[Note]:
        """What it has noted so far, of these kinds or all."""
        with self._journal.open("rb") as journal:
            journal.seek(self._read)
            text = journal.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        self._known += [_note(json.loads(line)) for line in whole.splitlines()]
        return [note for note in self._known if not what or note.what in what]

    def ids(self, what: str) -> list[str]:
        """The ids of what it noted like that, in this order."""
        return [note.id for note in self.notes(what)]

    def unsettled(self) -> set[str]:
        """The ids of what it has published, or begun to, and maybe not told the store of."""
        return set(self.ids("begun")) - set(self.ids("settled"))

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

    async def hurry(self) -> None:
        """Ask it twice, after which it waits for no publish. Of the same signal it may see one."""
        self.process.send_signal(signal.SIGINT)
        await self.stop()

    async def ended(self) -> int:
        """Its return code, when it has ended."""
        async with asyncio.timeout(PATIENCE):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    async def noted(self, what: str, count: int) -> None:
        """Wait until it has noted that so many times."""

        async def enough() -> bool:
            return len(self.notes(what)) >= count

        await until(enough)

    async def health(self) -> Note:
        """How it says it is doing."""
        known = len(self.notes("health"))
        self.process.send_signal(signal.SIGUSR1)
        await self.noted("health", known + 1)
        return self.notes("health")[-1]

    async def says(self, reason: str) -> None:
        """Wait until that is among what it says of its health."""

        async def found() -> bool:
            return reason in (await self.health()).reason

        await until(found)


class Journey:
    """A store by its URL, the client of those who schedule, and all workers there ever were."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder = folder
        self.store = store
        self.client = Client(store)
        self.workers: list[Worker] = []
        self.patience = PATIENCE  # with workers that start
        self._journals = itertools.count()  # several may be started together

    @property
    def path(self) -> Path:
        """The file, of an SQLite store."""
        assert self.store.startswith(SQLITE)
        return Path(self.store.removeprefix(SQLITE))

    async def __aenter__(self) -> Self:
        await self.client.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:  # those that are left, however they are doing
            if worker.process.returncode is None:
                worker.process.kill()
            await worker.ended()
        await self.client.close()

    async def start(self, environment: dict[str, str] | None = None, **options: Any) -> Worker:
        """A worker that is about to claim; see worker.py for the options."""
        journal = self.folder / f"journal-{next(self._journals)}"
        journal.touch()
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        process = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, self.store, journal, *given,
            stdout=PIPE, env={**os.environ, **(environment or {})},
        )  # fmt: skip
        worker = Worker(process, journal)
        self.workers.append(worker)
        assert process.stdout is not None
        async with asyncio.timeout(self.patience):
            assert await process.stdout.readline() == b"READY\n"
        return worker

    async def freeze(self, worker: Worker) -> None:
        """Stop it in its tracks, as a host does that hangs, but not while it holds a file's lock.

        From that nobody could save the others: they wait until it goes on or is killed.
        """
        while True:
            worker.process.send_signal(signal.SIGSTOP)
            options = os.WSTOPPED | os.WNOWAIT
            os.waitid(os.P_PID, worker.process.pid, options)  # noqa: ASYNC222  # it takes no time
            if not self._locked():
                return
            worker.thaw()
            await asyncio.sleep(0.01)

    def _locked(self) -> bool:
        if not self.store.startswith(SQLITE):
            return False
        with closing(sqlite3.connect(self.path, isolation_level=None, timeout=0)) as other:
            try:
                other.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            return False

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

        async def left() -> Stats | None:
            stats = await self.client.stats()
            return None if stats.scheduled > but or stats.claimed else stats

        return await until(left)


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


async def until(holds: Callable[[], Awaitable[T | None]]) -> T:
    """Wait until it holds; what it said then."""
    async with asyncio.timeout(PATIENCE):
        while True:
            if found := await holds():
                return found
            await asyncio.sleep(0.02)


def _note(line: dict[str, Any]) -> Note:
    for name in {"at", "scheduled_at"} & line.keys():
        line[name] = datetime.fromisoformat(line[name])
    return Note(**line)


async def settled_down(journey: Journey) -> Stats:
    """How things stand when the server has carried out what it was last asked for."""
    before = None
    while before != (now := await journey.client.stats()):
        before = now
        await asyncio.sleep(1.5)  # it may be slow with what a killed scheduler has asked for
    return now
