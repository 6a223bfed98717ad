"""What is to come: counts from the narrow tables, series by their index."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter

from duly import State
from duly.message import UNREADABLE
from duly.moment import FIRST, from_microseconds, to_microseconds
from duly.store import Due, DueCounts, Recurring
from duly_postgres.connection import Executor, Row
from duly_postgres.following import following
from duly_postgres.names import Names
from duly_postgres.records import show
from duly_postgres.sql_ahead import BETWEEN, IN_SPANS, LOOKED_AT, RECURRING
from duly_postgres.storing import STATES

__all__ = ["due_between", "due_counts"]


async def due_counts(
    db: Executor, names: Names, bounds: Sequence[datetime], most: int, look_at: int
) -> DueCounts:
    """What waits, by spans."""
    ends = [to_microseconds(each) for each in bounds]
    spans = await db.fetch(names(IN_SPANS), [FIRST - 1, *ends[:-1]], ends, most + 1)
    retries, looked_at = [0] * len(ends), 0
    for suspect in (True, False):
        left = look_at - looked_at
        ((number, found),) = await db.fetch(names(LOOKED_AT), suspect, ends[-1], left + 1, left + 1)
        looked_at += number
        for due_at in found or ():
            retries[bisect_left(ends, due_at)] += 1
    rows = await db.fetch(names(RECURRING), look_at + 1)
    series = [found for row in rows if (found := _recurring(row)) is not None]
    return DueCounts(
        in_line=[row["number"] for row in spans],
        retries=retries,
        aside=spans[0]["aside"],
        series=series[:look_at],
        looked_at=min(looked_at, look_at),
        complete=looked_at <= look_at and len(series) <= look_at,
    )


async def due_between(
    db: Executor, names: Names, since: datetime, until: datetime, limit: int
) -> Sequence[Due]:
    """What waits in the main line between two moments."""
    bounds = to_microseconds(since), to_microseconds(until), limit
    rows: list[Row] = []
    for suspect in (True, False):
        rows += await db.fetch(names(BETWEEN), suspect, *bounds)
    rows.sort(key=itemgetter(0))
    return [
        Due(message=show(record, State.SCHEDULED), due_at=from_microseconds(due_at))
        for due_at, *record in rows[:limit]
    ]


def _recurring(row: Row) -> Recurring | None:
    number, due_at, aside, successor, *record = row
    state = STATES[number]
    message = show(record, state)
    if message.event_name == UNREADABLE:
        return None
    return Recurring(
        message=message,
        due_at=from_microseconds(due_at) if state is State.SCHEDULED else None,
        aside=aside,
        follows=None if successor is None else following(record, successor),
    )
