"""A peer at work: its program in processes of its own, and what they noted."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from benchmarks.peers.environments import FOLDER
from benchmarks.peers.programs.journal import LINE

__all__ = ["Run", "Team"]

_PAUSE: Final = 0.05  # seconds between two looks at the journal


@attrs.frozen
class Run:
    """A job that ran: its number, when it was due and when it ran, in seconds since 1970."""

    number: int
    due: float
    at: float


class Team:
    """Schedules and works by one peer on one server; ``journal`` is a file of its own."""

    def __init__(self, python: Path, program: str, server: str, journal: Path) -> None:
        self._command = [str(python), program]
        self._environment = {
            **os.environ, "SERVER": server, "JOURNAL": str(journal),
            "PYTHONPATH": str(FOLDER), "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        self._journal = journal
        self._workers: list[Process] = []
        self.forget()

    def forget(self) -> None:
        """Begin another journal."""
        self._journal.write_bytes(b"")

    async def schedule(self, count: int, due: float, step: float = 0.0) -> float:
        """Store so many jobs, the first due at that moment; the seconds it took.

        Raises:
            RuntimeError: its program failed.
        """
        process = await self._start("schedule", str(count), str(due), str(step), output=PIPE)
        said, errors = await process.communicate()
        if process.returncode:
            raise RuntimeError(errors.decode(errors="replace").strip()[-300:])
        return float(said.split()[-1])

    async def work(self) -> None:
        """Start a worker."""
        self._workers.append(await self._start("work", output=DEVNULL))

    async def kill(self) -> None:
        """End all workers without warning, with all their children."""
        for worker in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            await worker.wait()
        self._workers.clear()

    def runs(self) -> Sequence[Run]:
        """What ran so far, in the order of the notes."""
        data = self._journal.read_bytes()
        whole = len(data) - len(data) % LINE.size
        return [Run(*each) for each in LINE.iter_unpack(data[:whole])]

    async def ran(self, count: int, *, within: float) -> bool:
        """Wait until so many different jobs ran; False when they did not in so many seconds."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            enough = self._journal.stat().st_size >= count * LINE.size
            if enough and len({run.number for run in self.runs()}) >= count:
                return True
            await asyncio.sleep(_PAUSE)
        return False

    async def _start(self, *arguments: str, output: int) -> Process:
        return await asyncio.create_subprocess_exec(
            *self._command, *arguments, cwd=FOLDER, env=self._environment,
            stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
