"""Hosts of two versions on one store, each a scheduler in a process of its own; see host.py."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

from tests.journeys.kit import PATIENCE, Journey, Note, Worker, until

PROGRAM: Final = Path(__file__).with_name("host.py")
BEFORE: Final = sorted(Path(__file__).parents[1].joinpath("before").glob("*.whl"))
PAUSE: Final = (
    0.3  # seconds for which the version before puts off what is newer: a minute, in truth
)


class Host(Worker):
    """A scheduler that a test may also ask to do things, as its version does them."""

    async def ask(self, verb: str, **given: Any) -> Any:
        """What a verb answers."""
        answer, error = await self._told(verb, given)
        assert error is None, f"{verb} {given}: {error}"
        return answer

    async def refuses(self, verb: str, **given: Any) -> str:
        """The error of a verb."""
        answer, error = await self._told(verb, given)
        assert error is not None, f"{verb} {given}: {answer}"
        return str(error)

    async def schedule(self, *messages: dict[str, Any], replace: bool = False) -> None:
        await self.ask("schedule", messages=messages, replace=replace)

    async def has(self, what: str, *ids: str) -> None:
        """Wait until it has noted that of them all."""

        async def all_of_them() -> bool:
            return {*ids} <= {*self.ids(what)}

        await until(all_of_them)

    async def _told(self, verb: str, given: dict[str, Any]) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([verb, given]).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            return json.loads(await self.process.stdout.readline())


class Neighbours(Journey):
    """A store that the version before makes, and all hosts there ever were.

    ``by_hand``: this version is not to migrate it when it opens it.
    """

    def __init__(self, folder: Path, store: str, *, by_hand: bool = False) -> None:
        super().__init__(folder, f"{store}&auto_migrate=false" if by_hand else store)
        self.by_hand = by_hand
        self._unlimited = store
        self.before: list[Host] = []

    async def __aenter__(self) -> Self:
        return self  # whose client opens nothing, and so migrates nothing, before it is asked to

    async def host(self, *, before: bool = False, **options: Any) -> Host:
        """A host that is about to claim, of the version before or of this one."""
        ledger = self.folder / f"ledger-{len(self.workers)}"
        path = [*map(str, BEFORE if before else ()), os.environ.get("PYTHONPATH", "")]
        given = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        if before:
            given += ["--pause", str(PAUSE)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, PROGRAM, self._unlimited if before else self.store, ledger, *given, stdin=PIPE, stdout=PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        )  # fmt: skip
        host = Host(process, ledger)
        self.workers.append(host)
        if before:
            self.before.append(host)
        assert process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            assert await process.stdout.readline() == b"READY\n"
        return host

    def fires(self, what: str) -> Counter[tuple[str, str]]:
        """How often each delivery was noted like that, by id and delivery id."""
        return Counter((note.id, note.delivery_id) for note in self.notes(what))

    def begun_before(self) -> set[str]:
        """The ids of all that the version before has published, or begun to."""
        return {id for host in self.before for id in host.ids("begun")}


def unsettled(host: Host) -> set[tuple[str, str]]:
    """What it has begun to publish, and maybe not told the store of, by id and delivery id."""
    begun, settled = (named(host.notes(what)) for what in ("begun", "settled"))
    return begun - settled


def named(notes: Sequence[Note]) -> set[tuple[str, str]]:
    return {(note.id, note.delivery_id) for note in notes}
