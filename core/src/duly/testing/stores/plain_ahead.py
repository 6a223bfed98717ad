"""What the plain store tells of what is to come, and of its event names: by looking at all."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime

from duly.message import State
from duly.store import Due, DueCounts, NameStats, Overdue, OverdueName, Recurring
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry

__all__ = ["due_between", "due_counts", "name_stats", "overdue"]


def due_counts(model: Model, bounds: Sequence[datetime], look_at: int) -> DueCounts:
    """What waits, by spans."""
    in_line, retries = [0] * len(bounds), [0] * len(bounds)
    waiting = [each for each in model.of_state(State.SCHEDULED) if each.due <= bounds[-1]]
    line = [each for each in waiting if not each.aside]
    for place, entry in enumerate(line):
        span, message = bisect_left(bounds, entry.due), entry.message
        in_line[span] += 1
        if place < look_at and message.recurrence is None and message.retry_count:
            retries[span] += 1
    series = [
        _recurring(model, each)
        for each in model.entries.values()
        if each.message.recurrence is not None
    ]
    return DueCounts(
        in_line=in_line,
        retries=retries,
        aside=len(model.aside()),
        series=series[:look_at],
        looked_at=min(len(line), look_at),
        complete=len(line) <= look_at and len(series) <= look_at,
    )


def due_between(model: Model, since: datetime, until: datetime, limit: int) -> Sequence[Due]:
    """What waits in the main line between two moments."""
    found = [
        Due(message=each.message, due_at=each.due)
        for each in model.of_state(State.SCHEDULED)
        if not each.aside and since <= each.due <= until
    ]
    return sorted(found, key=lambda each: each.due_at)[:limit]


def _recurring(model: Model, entry: Entry) -> Recurring:
    return Recurring(
        message=entry.message,
        due_at=entry.due if entry.message.state is State.SCHEDULED else None,
        aside=entry.aside,
        follows=model.follows(entry),
    )


def name_stats(model: Model, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
    """The event names behind one, and how much there is of each."""
    by_name: dict[str, list[Entry]] = {}
    for entry in model.entries.values():
        by_name.setdefault(entry.message.event_name, []).append(entry)
    wanted = sorted(name for name in by_name if after is None or name > after)[:limit]
    return [_stats_of(model, name, by_name[name], most) for name in wanted]


def _stats_of(model: Model, name: str, entries: Sequence[Entry], most: int) -> NameStats:
    seen = entries[:most]
    waiting = [each for each in seen if each.message.state is State.SCHEDULED]
    due = [each.due for each in waiting if each.due <= model.now]
    return NameStats(
        name=name,
        scheduled=len(waiting),
        due=len(due),
        aside=sum(each.aside for each in waiting),
        claimed=sum(each.message.state is State.CLAIMED for each in seen),
        dead=sum(each.message.state is State.DEAD for each in seen),
        oldest=min(due, default=None),
        at_least=len(entries) > most,
    )


def overdue(model: Model, before: datetime, look_at: int) -> Overdue:
    """Of which names what is due waits in the main line."""
    waiting = [each for each in model.of_state(State.SCHEDULED) if each.due <= before]
    line = sorted((each for each in waiting if not each.aside), key=lambda each: each.due)
    by_name: dict[str, list[datetime]] = {}
    for entry in line[:look_at]:
        by_name.setdefault(entry.message.event_name, []).append(entry.due)
    apart = {each.message.event_name for each in model.aside()}
    return Overdue(
        names=[
            OverdueName(name=name, in_line=len(due), oldest=due[0], aside=name in apart)
            for name, due in by_name.items()
        ],
        complete=len(line) <= look_at,
    )
