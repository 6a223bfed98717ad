"""A scheduler in a process of its own: ``python worker.py STORE JOURNAL [option ...]``.

The store is a URL. It prints READY when it is about to claim, notes in its journal what happens to each message, and
on SIGUSR1 how it is doing. What it does with a message depends on the event name, as far as its
first dot:

quick   accepts it at once
slow    accepts it after the seconds that its metadata tell
gated   accepts it when the file that its metadata tell is there
hang    never ends
break   breaks the connection, over which all that is in flight fails
kill    kills this process
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duly
from duly_sqlite import SQLiteStore


class Journal:
    """Appends lines; once a call has returned, not even SIGKILL can undo it."""

    def __init__(self, path: Path, clock: duly.store.Clock) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self._clock = clock

    def note(self, what: str, facts: Sequence[dict[str, Any]]) -> None:
        """Note the same of several messages, now by the store's clock."""
        now = self._clock().isoformat()
        lines = [json.dumps({"what": what, "at": now, **each}) + "\n" for each in facts]
        os.write(self._file, "".join(lines).encode())

    def note_messages(self, what: str, messages: Sequence[duly.Message]) -> None:
        self.note(what, [{"id": each.id, "delivery_id": each.delivery_id} for each in messages])


class Witness:
    """A plugin that notes what the scheduler tells its observers."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tasks: set[asyncio.Task[None]] = set()

    @duly.hookimpl
    def duly_started(self, scheduler: duly.Scheduler) -> None:
        def ask() -> None:
            task = asyncio.create_task(self._note_health(scheduler))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, ask)
        sys.stdout.write("READY\n")
        sys.stdout.flush()

    @duly.hookimpl
    def duly_claimed(self, messages: Sequence[duly.Message]) -> None:
        self._journal.note_messages("claimed", messages)

    @duly.hookimpl
    def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
        self._journal.note_messages("settled", [each.message for each in deliveries])

    async def _note_health(self, scheduler: duly.Scheduler) -> None:
        health = await scheduler.health()
        self._journal.note("health", [{"status": health.status.value, "reason": health.reason}])


class Transport:
    """One connection to a broker, which is gone while the file ``down`` exists."""

    def __init__(self, journal: Journal, down: Path | None, limits: duly.transport.Limits) -> None:
        self._journal = journal
        self._down = down
        self._limits = limits
        self._broken = asyncio.Event()

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        self._journal.note("closed", [{}])

    def limits(self) -> duly.transport.Limits:
        return self._limits

    async def check(self) -> Sequence[str]:
        return ["nobody answers"] if self._gone() else []

    async def publish(self, envelope: duly.Envelope) -> None:
        facts = {
            "id": envelope.message_id,
            "delivery_id": envelope.delivery_id,
            "attempt": envelope.attempt,
            "scheduled_at": envelope.scheduled_at.isoformat(),
        }
        self._journal.note("begun", [facts])
        if self._gone():
            raise duly.TransportUnavailable("connection refused")
        match envelope.event_name.partition(".")[0]:
            case "slow":
                await self._slowly(facts, float(envelope.metadata["seconds"]))
            case "gated":
                await self._opened(Path(envelope.metadata["gate"]))
            case "hang":
                await asyncio.Event().wait()
            case "break":
                await self._pass(0.05)
                self._broken.set()
                self._broken = asyncio.Event()
                raise duly.TransportUnavailable("connection reset")
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
        self._journal.note("done", [facts])

    async def _slowly(self, facts: dict[str, Any], seconds: float) -> None:
        try:
            await self._pass(seconds)
        except asyncio.CancelledError:
            self._journal.note("cut", [facts])
            raise

    def _gone(self) -> bool:
        return self._down is not None and self._down.exists()

    async def _opened(self, gate: Path) -> None:
        while True:
            if gate.exists():  # noqa: ASYNC240  # it takes no time
                return
            await asyncio.sleep(0.01)

    async def _pass(self, seconds: float) -> None:
        """Take that long, unless the connection breaks meanwhile."""
        try:
            await asyncio.wait_for(self._broken.wait(), seconds)
        except TimeoutError:
            return
        raise duly.TransportUnavailable("connection reset")


class HandTurned(SQLiteStore):
    """A store whose clock is turned by another process, which wakes nobody: so look often."""

    async def wait_for_change(self) -> None:
        await asyncio.sleep(0.02)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("journal", type=Path)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--slots", type=int, default=100)
    parser.add_argument("--lease", type=float, default=60.0, help="seconds")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one publish")
    parser.add_argument("--retries", type=int, default=20)
    parser.add_argument("--deaths", type=int, default=3, help="of its schedulers, to be buried")
    parser.add_argument(
        "--ahead", type=float, help="seconds by which this host's clock is off; on files"
    )
    parser.add_argument("--clock", type=Path, help="a file that tells the time; on files")
    parser.add_argument("--down", type=Path)
    parser.add_argument("--instance")
    parser.add_argument("--limits", type=json.loads, default={}, help="by event name, JSON")
    parser.add_argument("--transport", help="the URL of a real one in place of that told above")
    return parser.parse_args()


def main() -> None:
    asked = options()

    def clock() -> datetime:
        if asked.clock is not None:
            return datetime.fromisoformat(asked.clock.read_text())
        return datetime.now(UTC) + timedelta(seconds=asked.ahead or 0)

    store: str | SQLiteStore = asked.store
    file = asked.store.removeprefix("sqlite:///")
    if asked.clock is not None:
        store = HandTurned(file, clock=clock)
    elif asked.ahead is not None:
        store = SQLiteStore(file, clock=clock)
    journal = Journal(asked.journal, clock)
    duly.Scheduler(
        store,
        asked.transport
        or Transport(journal, asked.down, duly.transport.Limits(by_name=asked.limits)),
        batch_size=asked.batch,
        max_in_flight=asked.slots,
        stuck_duration=timedelta(seconds=asked.lease),
        publish_timeout=timedelta(seconds=asked.timeout),
        recovery=duly.Backoff(
            initial=timedelta(milliseconds=50),
            max_retries=asked.retries,
            max_lapses=asked.deaths,
        ),
        plugins=[Witness(journal)],
        instance=asked.instance,
    ).run()


if __name__ == "__main__":
    main()
