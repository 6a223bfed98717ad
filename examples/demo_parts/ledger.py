"""What each process noted in a file of its own: the evidence, which no crash takes back."""

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from demo_parts.plan import Occurrence

__all__ = ["Entry", "Ledger", "Reader"]


class Entry(NamedTuple):
    """One line: ``what`` happened to an occurrence, at which attempt and when."""

    what: str
    occurrence: Occurrence
    attempt: int
    at: datetime


class Ledger:
    """Appends lines; once a call has returned, not even SIGKILL can undo it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def note(
        self,
        what: str,
        ids: Iterable[tuple[str, int]],
        attempt: int = 0,
        at: datetime | None = None,
    ) -> None:
        """Note the same of several occurrences, now unless told otherwise."""
        moment = (datetime.now(UTC) if at is None else at).isoformat()
        lines = [json.dumps([what, *occurrence, attempt, moment]) + "\n" for occurrence in ids]
        os.write(self._file, "".join(lines).encode())


class Reader:
    """Reads what another process appends, bit by bit."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0  # bytes
        self.entries: list[Entry] = []

    def read(self) -> "Reader":
        """Take in all whole lines there are by now."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
            whole = text[: text.rfind(b"\n") + 1]
            self._read += len(whole)
            self.entries += [_entry(json.loads(line)) for line in whole.splitlines()]
        return self

    def of(self, what: str) -> Iterator[Entry]:
        """The lines of one kind."""
        return (entry for entry in self.entries if entry.what == what)

    def in_hand(self) -> set[Occurrence]:
        """What was claimed and not settled since, whether or not it has been published."""
        held = set()
        for entry in self.entries:
            if entry.what == "claimed":
                held.add(entry.occurrence)
            elif entry.what == "settled":
                held.discard(entry.occurrence)
        return held


def _entry(line: list[Any]) -> Entry:
    what, id, number, attempt, at = line
    return Entry(what, Occurrence(id, number), attempt, datetime.fromisoformat(at))
