"""What journeys of pauses and limits judge by: when publishes of a name began and ended."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from tests.journeys.kit import Note, Worker

__all__ = ["SECOND", "begun", "most_at_once", "over_the_rate", "within"]

SECOND: Final = timedelta(seconds=1)


def begun(workers: Iterable[Worker], prefix: str) -> list[Note]:
    """The publishes of ids that begin so, in the order of their beginnings."""
    notes = (note for worker in workers for note in worker.notes("begun"))
    return sorted((note for note in notes if note.id.startswith(prefix)), key=lambda note: note.at)


def within(notes: Sequence[Note], since: datetime, until: datetime) -> list[Note]:
    """Those of that while."""
    return [note for note in notes if since < note.at < until]


def over_the_rate(notes: Sequence[Note], rate: float, seconds: float) -> int:
    """By how many more began in any so many seconds than a rate allows in all."""
    most = first = 0
    for last, note in enumerate(notes):
        while note.at - notes[first].at >= seconds * SECOND:
            first += 1
        most = max(most, last + 1 - first)
    return max(0, most - int(rate * seconds + max(1.0, rate)))


def most_at_once(workers: Iterable[Worker], prefix: str) -> int:
    """The most publishes of these workers that were under way together, of ids that begin so."""
    changes: list[tuple[datetime, int]] = []
    for worker in workers:
        open_since: dict[str, datetime] = {}
        for note in worker.notes("begun", "done"):
            if not note.id.startswith(prefix):
                continue
            if note.what == "begun":
                open_since[note.id] = note.at
                changes.append((note.at, 1))
            elif open_since.pop(note.id, None) is not None:
                changes.append((note.at, -1))
    running = most = 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most
