"""``duly recover``: what a dead scheduler held comes back at once."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.cli.kit import PATIENCE, Shell, ago

from duly import Message

HOLDS: Final = """
import asyncio, sys
from duly import LocalTransport, Scheduler

transport, begun = LocalTransport(), []

@transport.on("a")
async def hold(envelope):
    begun.append(envelope)
    if len(begun) == 2:
        print("holds", flush=True)
    await asyncio.Event().wait()

Scheduler(sys.argv[1], transport, instance="worker-1").run()
"""


def killed_while_it_holds(shell: Shell, folder: Path) -> None:
    """A scheduler that is killed with two messages in hand."""
    script = folder / "holds.py"
    script.write_text(HOLDS)
    assert shell.url is not None
    with subprocess.Popen(
        [sys.executable, str(script), shell.url],
        stdout=subprocess.PIPE,
        env={**os.environ},
        cwd=folder,
    ) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == b"holds\n"
        finally:
            running.kill()
            running.wait(PATIENCE)


async def test_one_that_was_killed(shell: Shell, tmp_path: Path) -> None:
    async with shell.client() as client:
        await client.schedule_many([Message("a", id=id, scheduled_at=ago(60)) for id in "xy"])
    killed_while_it_holds(shell, tmp_path)
    asked = shell("recover", "worker-1", "--force")
    assert asked.code == 2
    assert "If it lives, what it is delivering just now is delivered twice." in asked.err
    assert "say --yes if that is meant" in asked.err
    result = shell.ok("recover", "worker-1", "--force", "--yes", "--json")
    assert result.record == {"instance": "worker-1", "messages": 2, "force": True}
    again = shell("recover", "worker-1")
    assert again.code == 3
    assert "no scheduler 'worker-1' is known on this store" in again.err


def test_nobody_of_that_name(on_sqlite: Shell) -> None:
    on_sqlite.ok("migrate")
    result = on_sqlite("recover", "worker-9")
    assert result.code == 3
    assert result.err.count("\n") == 1
