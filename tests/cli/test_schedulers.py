"""``duly schedulers``: who delivers, and who is gone."""

import subprocess
import sys

from tests.cli.kit import Shell

from duly import Client, Envelope, Scheduler

KILLED = """
import asyncio, os, signal, sys
from duly import Scheduler

async def nothing(envelope): ...

async def main():
    async with Scheduler(sys.argv[1], nothing, instance="orders-1") as scheduler:
        async with scheduler.running():
            while not await scheduler.schedulers():
                await asyncio.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def nothing(envelope: Envelope) -> None: ...


async def listed(client: Client) -> None:
    """Wait until a scheduler has announced itself."""
    while not await client.schedulers():
        pass


async def test_one_that_runs(shell: Shell) -> None:
    assert shell.url is not None
    async with (
        Scheduler(shell.url, nothing, instance="orders-1", max_in_flight=7) as scheduler,
        scheduler.running(),
    ):
        await listed(scheduler)
        record = shell.ok("schedulers", "--json").record
        out = shell.ok("schedulers").out
    assert (record["instance"], record["gone"], record["outage"]) == ("orders-1", False, None)
    assert (record["slots"], record["slots_used"], record["claimed"]) == (7, 0, 0)
    assert record["owner"].startswith(f"{record['host']}:{record['pid']}:")
    assert record["since"] <= record["seen"]
    assert out.splitlines()[1].split()[:4] == ["orders-1", "alive", "in", "time"]
    none = shell.ok("schedulers").out
    assert none.startswith("No scheduler is alive: duly run")


def test_one_that_is_gone(on_sqlite: Shell) -> None:
    assert on_sqlite.url is not None
    command = [sys.executable, "-c", KILLED, on_sqlite.url]
    assert subprocess.run(command, check=False, timeout=30).returncode < 0
    record = on_sqlite.ok("schedulers", "--json").record
    assert (record["gone"], record["overdue"]) == (True, False)
    out = on_sqlite.ok("schedulers").out
    assert "orders-1 is gone, it held nothing when it was seen last: duly recover orders-1" in out
