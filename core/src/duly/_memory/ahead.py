"""What the memory store tells of what is to come, and of its event names."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import chain, islice
from operator import sub

from duly._memory.ledger import Ledger
from duly._memory.places import moment_of, place_after, place_at, whereabouts
from duly._memory.shelf import Entry
from duly.message import State
from duly.store import Due, DueCounts, NameStats, Overdue, OverdueName, Recurring

__all__ = ["due_between", "due_counts", "names", "overdue"]


def due_counts(ledger: Ledger, bounds: Sequence[datetime], look_at: int) -> DueCounts:
    """What waits, by spans."""
    ends = [place_after(each) for each in bounds]
    below = [ledger.lines.below(each) for each in ends]
    retries, looked_at, last = [0] * len(ends), 0, ends[-1]
    for entry in islice(ledger.lines.in_order(), look_at):
        if entry.place >= last:
            break
        looked_at += 1
        if entry.message.retry_count and entry.message.recurrence is None:
            retries[bisect_right(ends, entry.place)] += 1
    series = ledger.shelf.series
    return DueCounts(
        in_line=list(map(sub, below, chain((0,), below))),
        retries=retries,
        aside=len(ledger.lines.sidings),
        series=[_recurring(ledger.shelf.entries[id]) for id in islice(series, look_at)],
        looked_at=looked_at,
        complete=looked_at == below[-1] and len(series) <= look_at,
    )


def _recurring(entry: Entry) -> Recurring:
    found = whereabouts(entry)
    return Recurring(
        message=entry.message, due_at=found.due_at, aside=found.aside, follows=found.follows
    )


def due_between(ledger: Ledger, since: datetime, until: datetime, limit: int) -> Sequence[Due]:
    """What waits in the main line between two moments."""
    entries = ledger.lines.between(place_at(since, 0), place_after(until))
    return [
        Due(message=each.message, due_at=moment_of(each.place)) for each in islice(entries, limit)
    ]


def names(
    ledger: Ledger, now: datetime, after: str | None, limit: int, most: int
) -> Sequence[NameStats]:
    """The event names behind one, and how much there is of each."""
    shelf, not_due = ledger.shelf, place_after(now)
    known = sorted(shelf.names)
    start = 0 if after is None else bisect_right(known, after)
    found = []
    for name in known[start : start + limit]:
        ids = shelf.names[name]
        entries = [shelf.entries[id] for id in islice(ids, most)]
        waiting = [each for each in entries if each.message.state is State.SCHEDULED]
        due = [each.place for each in waiting if each.place < not_due]
        dead = sum(each.message.state is State.DEAD for each in entries)
        found.append(
            NameStats(
                name=name,
                scheduled=len(waiting),
                due=len(due),
                aside=sum(each.aside for each in waiting),
                claimed=len(entries) - len(waiting) - dead,
                dead=dead,
                oldest=moment_of(min(due)) if due else None,
                at_least=len(ids) > most,
            )
        )
    return found


def overdue(ledger: Ledger, before: datetime, look_at: int) -> Overdue:
    """Of which names what is due waits in the main line."""
    lines, end = ledger.lines, place_after(before)
    apart = lines.sidings.names
    found: dict[str, tuple[int, int]] = {}  # how many, and the first place
    for entry in islice(lines.in_order(), look_at):
        if entry.place >= end:
            break
        number, first = found.get(entry.message.event_name, (0, entry.place))
        found[entry.message.event_name] = number + 1, first
    return Overdue(
        names=[
            OverdueName(
                name=name,
                in_line=number,
                oldest=moment_of(first),
                aside=name in apart,
            )
            for name, (number, first) in found.items()
        ],
        complete=lines.below(end) <= look_at,
    )
