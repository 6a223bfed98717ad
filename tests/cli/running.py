"""A ``duly run`` that goes on in the background, until it is told to end."""

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import attrs
from tests.cli.kit import COMMAND, PATIENCE, Shell, heeding

APP: Final = """\
import asyncio, os, pathlib
import duly, duly.sync

transport = duly.LocalTransport()


def note(envelope):
    with open("delivered", "a") as file:
        file.write(f"{envelope.message_id} {os.environ.get('DULY_PROCESS')}\\n")


@transport.on("quick")
async def quick(envelope):
    note(envelope)


@transport.on("slow")
async def slow(envelope):
    pathlib.Path("begun").touch()
    try:
        while not pathlib.Path("go").exists():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        pathlib.Path("cut").touch()
        raise
    note(envelope)


def made(**options):
    return duly.Scheduler(os.environ["DULY_STORE"], transport, **options)


def blocking():
    return duly.sync.Scheduler(os.environ["DULY_STORE"], transport)


def looking():
    return duly.Client(os.environ["DULY_STORE"])
"""


@attrs.frozen
class Running:
    """One that was started, and what it has said so far."""

    process: subprocess.Popen[bytes]
    said: Path
    folder: Path

    @property
    def text(self) -> str:
        return self.said.read_text()

    def told(self, event: str) -> list[dict[str, Any]]:
        """What it has told of such events, given --json."""
        found = [json.loads(each) for each in self.text.splitlines() if each.startswith("{")]
        return [each for each in found if each.get("event") == event]

    def delivered(self) -> list[str]:
        """The ids that handlers of the app have noted."""
        file = self.folder / "delivered"
        return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []

    def pids(self) -> list[int]:
        """Of the processes that it has started and that live."""
        return [each["pid"] for each in self.told("start") if is_alive(each["pid"])]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until that is so."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110  # another process makes it so
                await asyncio.sleep(0.01)

    async def ended(self) -> int:
        """Wait for its end; its exit code."""
        await self.until(lambda: self.process.poll() is not None)
        return self.process.wait()

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send it that signal and wait for its end; its exit code."""
        self.process.send_signal(number)
        return await self.ended()


@contextmanager
def running(shell: Shell, *words: str, **environment: str) -> Iterator[Running]:
    """``duly run`` with these words; whatever is left of it afterwards is killed."""
    (shell.folder / "orders_app.py").write_text(APP)
    said = shell.folder / "said"
    with said.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "run", *words],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=shell.folder,
            env=shell.environment(**environment),
            preexec_fn=heeding,  # noqa: PLW1509  # it only sets two signals
        )
    running = Running(process, said, shell.folder)
    try:
        yield running
    finally:
        process.kill()
        process.wait()
        for pid in running.pids():
            os.kill(pid, signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
