"""A scheduler of either version, and its verbs: ``python host.py STORE LEDGER [option ...]``.

Which version that is, PYTHONPATH decides; what only the newer one has is touched only when a test
asks for it. It prints READY when it is about to claim. Then each line of its input is a verb,
``["cancel", {"id": "one"}]``, and is answered by a line: ``[answer, null]`` or ``[null, error]``. In
its ledger it notes each publish and settlement. What it does with a message depends on the event:

quick       accepts it
gated       accepts it when the file that its metadata tell is there
failing     fails as many attempts as its metadata tell, then accepts it
rejected    refuses it when that file is there
refused     refuses it until that file is there
postponed   puts it off until that file is there
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duly
import duly.record
import duly.store

PUT_OFF = timedelta(milliseconds=700)


class Ledger:
    """Appends lines; once a call has returned, not even SIGKILL can undo it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def note(self, what: str, facts: Sequence[dict[str, Any]]) -> None:
        now = datetime.now(UTC).isoformat()  # the servers run on this machine: it is their time too
        lines = [json.dumps({"what": what, "at": now, **each}) + "\n" for each in facts]
        os.write(self._file, "".join(lines).encode())


class Witness:
    """A plugin that notes what the scheduler tells its observers."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @duly.hookimpl
    def duly_started(self, scheduler: duly.Scheduler) -> None:
        self._serving = asyncio.create_task(serve(scheduler))

    @duly.hookimpl
    def duly_delivered(self, deliveries: Sequence[duly.Delivery]) -> None:
        messages = [each.message for each in deliveries]
        facts = [{"id": each.id, "delivery_id": each.delivery_id} for each in messages]
        self._ledger.note("settled", facts)


class Transport:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def publish(self, envelope: duly.Envelope) -> None:
        facts = {
            "id": envelope.message_id,
            "delivery_id": envelope.delivery_id,
            "attempt": envelope.attempt,
            "scheduled_at": envelope.scheduled_at.isoformat(),
        }
        self._ledger.note("begun", [facts])
        metadata = envelope.metadata
        shut = "gate" in metadata and not Path(metadata["gate"]).exists()  # noqa: ASYNC240  # it takes no time
        match envelope.event_name:
            case "gated":
                await opened(Path(metadata["gate"]))
            case "rejected":
                await opened(Path(metadata["gate"]))
                raise duly.Rejected("nobody wants it any more")
            case "failing" if envelope.attempt <= int(metadata["times"]):
                raise ConnectionError("not yet")
            case "refused" | "refused.purged" if shut:
                raise duly.Rejected("nobody wants it")
            case "postponed" if shut:
                raise duly.Postpone(PUT_OFF)
        self._ledger.note("done", [facts])


async def opened(gate: Path) -> None:
    while True:
        if gate.exists():  # noqa: ASYNC240  # it takes no time
            return
        await asyncio.sleep(0.01)


def message_of(told: dict[str, Any]) -> duly.Message:
    """A message from JSON: ``due`` in seconds from now, or a series by ``every``, seconds, or ``cron``."""
    rule: duly.Every | duly.Cron | None = None
    more = told.get("rule", {})
    if "jitter" in more:
        more["jitter"] = timedelta(seconds=more["jitter"])
    if "anchor" in more:
        more["anchor"] = datetime.fromisoformat(more["anchor"])
    if "every" in told:
        rule = duly.Every(timedelta(seconds=told["every"]), missed="all", **more)
    elif "cron" in told:
        rule = duly.Cron(told["cron"], missed="all", **more)
    due = told.get("due", 0 if rule is None else None)
    return duly.Message(
        told.get("event", "quick"),
        told["id"].encode(),
        id=told["id"],
        metadata=told.get("metadata", {}),
        scheduled_at=None if due is None else duly.after(seconds=due),
        recurrence=rule,
    )


class Verbs:
    """What a test may ask for, by name."""

    def __init__(self, scheduler: duly.Scheduler) -> None:
        self._scheduler = scheduler

    async def version(self) -> Any:
        """Which format of records it writes, and the files of all that it runs of duly."""
        modules = [each for each in sys.modules.values() if each.__name__.startswith("duly")]
        return duly.record.FORMAT, [each.__file__ for each in modules]

    async def schedule(self, messages: list[dict[str, Any]], replace: bool = False) -> Any:
        for each in messages:
            await self._scheduler.schedule(message_of(each), replace=replace)

    async def ensure(self, message: dict[str, Any]) -> Any:
        return (await self._scheduler.ensure(message_of(message))).value

    async def cancel(self, id: str) -> Any:
        return (await self._scheduler.cancel(id)).value

    async def reschedule(self, id: str) -> Any:
        await self._scheduler.reschedule(id, duly.after())

    async def replay(self, id: str) -> Any:
        await self._scheduler.replay(id)

    async def purge(self, event: str) -> Any:
        return await self._scheduler.purge(duly.Filter(event_name=event))

    async def get(self, id: str) -> Any:
        found = await self._scheduler.get(id)
        return found.event_name, found.state.value, found.payload.decode(errors="replace")

    async def list(self, state: str) -> Any:
        found = self._scheduler.iterate(duly.Filter(state=duly.State(state)))
        return sorted([each.id async for each in found])

    async def health(self) -> Any:
        return (await self._scheduler.health()).reason


async def serve(scheduler: duly.Scheduler) -> None:
    """Answer verbs until the input ends."""
    verbs, lines = Verbs(scheduler), asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    sys.stdout.write("READY\n")
    sys.stdout.flush()
    while line := await lines.readline():
        verb, given = json.loads(line)
        try:
            answer, error = await getattr(verbs, verb)(**given), None
        except duly.DulyError as refusal:
            answer, error = None, f"{type(refusal).__name__}: {refusal}"
        sys.stdout.write(json.dumps([answer, error]) + "\n")
        sys.stdout.flush()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("store")
    parser.add_argument("ledger", type=Path)
    parser.add_argument("--lease", type=float, default=60.0, help="seconds")
    parser.add_argument("--pause", type=float, default=60.0, help="for newer records; seconds")
    return parser.parse_args()


def main() -> None:
    asked = options()
    # Stores are imported when they are asked for, and take it from there.
    duly.store.NEWER_PAUSE = timedelta(seconds=asked.pause)  # type: ignore[misc]  # or a test takes a minute
    ledger = Ledger(asked.ledger)
    duly.Scheduler(
        asked.store,
        Transport(ledger),
        stuck_duration=timedelta(seconds=asked.lease),
        recovery=duly.Backoff(initial=timedelta(milliseconds=50)),
        plugins=[Witness(ledger)],
    ).run()


if __name__ == "__main__":
    main()
