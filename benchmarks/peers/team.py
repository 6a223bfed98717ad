"""A peer at work: its program in processes of its own, and what they noted."""

import asyncio
import contextlib
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from benchmarks.peers.environments import FOLDER, Peer
from benchmarks.peers.programs.journal import LINE

__all__ = ["Run", "Team"]

_PAUSE: Final = 0.01  # seconds between two looks at the journal
_READY: Final = 20.0  # seconds in which a worker runs its first job


@attrs.frozen
class Run:
    """A job that ran: its number, when it was due and when it ran, in seconds since 1970."""

    number: int
    due: float
    at: float


class Team:
    """Schedules and works by one peer on one server; ``folder`` is for its journal and its log."""

    def __init__(self, peer: Peer, python: Path, server: str, folder: Path) -> None:
        self._journal, self._log = folder / "journal", folder / "log"
        self._command = [str(python), peer.program]
        self._environment = {
            **os.environ, **peer.environment, "SERVER": server, "JOURNAL": str(self._journal),
            "PYTHONPATH": str(FOLDER), "PYTHONWARNINGS": "ignore",
        }  # fmt: skip
        self._processes: list[Process] = []
        self.forget()

    def forget(self) -> None:
        """Begin another journal."""
        self._journal.write_bytes(b"")

    async def schedule(
        self, count: int, *, lead: float = 0.0, step: float = 0.0
    ) -> tuple[float, float]:
        """Store jobs that are due ``step`` seconds apart; how long that took, and the first due.

        That moment is ``lead`` seconds after the first one begins to be stored.

        Raises:
            RuntimeError: its program failed.
        """
        process = await self._start("schedule", str(count), str(lead), str(step), output=PIPE)
        said, errors = await process.communicate()
        if process.returncode:
            raise RuntimeError(_last_line(errors))
        seconds, due = map(float, said.split()[-2:])
        return seconds, due

    async def work(self) -> None:
        """Start a worker."""
        with self._log.open("ab") as log:
            await self._start("work", output=DEVNULL, errors=log)

    async def ready(self) -> None:
        """Wait until a worker ran a job that was due at once, and forget that one.

        Raises:
            RuntimeError: it ran none.
        """
        await self.schedule(1)
        if not await self.ran(1, within=_READY):
            said = _last_line(self._log.read_bytes())
            raise RuntimeError(f"ran nothing in {_READY:g} s: {said}")
        self.forget()

    async def kill(self) -> None:
        """End all of its processes without warning, with all their children."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        self._processes.clear()

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

    async def _start(self, *arguments: str, output: int, errors: Any = PIPE) -> Process:
        process = await asyncio.create_subprocess_exec(
            *self._command, *arguments, cwd=FOLDER, env=self._environment,
            stdout=output, stderr=errors, start_new_session=True,
        )  # fmt: skip
        self._processes.append(process)
        return process


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return lines[-1].strip()[:200] if lines else "it gave no reason"
