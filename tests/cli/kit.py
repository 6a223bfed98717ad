"""Running the real command in a process of its own, against real stores."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import attrs

from duly import Client, Message
from duly.store import Bury, Settle

COMMAND: Final = (sys.executable, "-m", "duly_cli")
PATIENCE: Final = 30.0  # seconds for a command


def heeding() -> None:
    """Called in a new process: it heeds signals although these tests run under nohup, say."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@attrs.frozen
class Result:
    """What a command has said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The objects that it printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> dict[str, Any]:
        """The only one."""
        (record,) = self.records
        return record


@attrs.frozen
class Shell:
    """Runs ``duly`` with a store in ``DULY_STORE``, in a folder of its own."""

    url: str | None
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            key: each
            for key, each in os.environ.items()
            if not key.startswith(("DULY_", "PYTHONDONT"))
        }
        kept |= {"DULY_CONTEXTS": str(self.folder / "contexts.toml"), "COLUMNS": "250"}
        kept |= {} if self.url is None else {"DULY_STORE": self.url}
        return kept | more

    def __call__(self, *words: str, typed: str = "", **environment: str) -> Result:
        """Run it, and wait for its end."""
        done = subprocess.run(
            [*COMMAND, *words],
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=self.folder,
            env=self.environment(**environment),
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *words: str, **more: Any) -> Result:
        """The same, and it must go well."""
        result = self(*words, **more)
        assert result.code == 0, (words, result)
        return result

    def client(self) -> Client:
        assert self.url is not None
        return Client(self.url)


def ago(seconds: float) -> datetime:
    """So many seconds ago."""
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def bury(client: Client, errors: dict[str, str], *, name: str, kind: str) -> None:
    """Make dead letters: errors by ids."""
    await client.schedule_many([Message(name, b"{}", id=id, scheduled_at=ago(60)) for id in errors])
    store: Any = client._calls.store
    left = {*errors}
    while left:
        batch = await store.claim(
            limit=1000, lease=timedelta(minutes=1), owner="host:1:test", suspects=True, settle=()
        )
        assert batch.claims, f"{left} cannot be claimed"
        found = {each.key: each.message.id for each in batch.claims}
        said = {
            key: Bury(errors[id], error_class=kind) for key, id in found.items() if id in errors
        }
        await store.settle([Settle(batch.token, said)])
        left -= {*found.values()}
