"""What is to come: counts from the narrow tables, series by their index."""

import sqlite3
from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from duly import Message, State
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly.record import UnreadableRecord, successor_of
from duly.store import Due, DueCounts, Recurring, succeeded
from duly_sqlite import sql_ahead
from duly_sqlite.records import fetch, show
from duly_sqlite.storing import STATES

__all__ = ["FIRST", "due_between", "due_counts"]

FIRST: Final = -(2**62)
"""In microseconds; no moment is earlier."""


def due_counts(
    db: sqlite3.Cursor, bounds: Sequence[datetime], most: int, look_at: int
) -> DueCounts:
    """What waits, by spans."""
    ends = [to_microseconds(each) for each in bounds]
    in_line = [
        _number(db, sql_ahead.IN_LINE, (before, end, most + 1, before, end, most + 1))
        for before, end in zip((FIRST, *ends), ends, strict=False)
    ]
    looked_at, retries = _retries(db, ends, look_at)
    series = [
        found
        for row in fetch(db, sql_ahead.SERIES, (look_at + 1,))
        if (found := _recurring(row)) is not None
    ]
    return DueCounts(
        in_line=in_line,
        retries=retries,
        aside=_number(db, sql_ahead.ASIDE, (most + 1,)),
        series=series[:look_at],
        looked_at=min(looked_at, look_at),
        complete=looked_at <= look_at and len(series) <= look_at,
    )


def due_between(db: sqlite3.Cursor, since: datetime, until: datetime, limit: int) -> Sequence[Due]:
    """What waits in the main line between two moments."""
    bounds = to_microseconds(since), to_microseconds(until), limit
    rows = [row for suspect in (0, 1) for row in fetch(db, sql_ahead.BETWEEN, (suspect, *bounds))]
    rows.sort(key=itemgetter(0))
    return [
        Due(
            message=show(key, record, State.SCHEDULED),
            due_at=from_microseconds(due_at),
        )
        for due_at, key, *record in rows[:limit]
    ]


def _number(db: sqlite3.Cursor, statement: str, parameters: Sequence[int]) -> int:
    ((number,),) = db.execute(statement, parameters)
    return int(number)


def _retries(db: sqlite3.Cursor, ends: Sequence[int], look_at: int) -> tuple[int, list[int]]:
    """How many were looked at, one more if there are more, and the retries by spans."""
    retries, looked_at = [0] * len(ends), 0
    for suspect in (1, 0):
        left = look_at + 1 - looked_at
        for due_at, is_retry in db.execute(sql_ahead.LOOKED_AT, (suspect, ends[-1], left)):
            looked_at += 1
            if is_retry and looked_at <= look_at:
                retries[bisect_left(ends, due_at)] += 1
    return looked_at, retries


def _recurring(row: Sequence[Any]) -> Recurring | None:
    key, number, due_at, aside, successor, *record = row
    state = STATES[number]
    message = show(key, record, state)
    if message.event_name == UNREADABLE:
        return None
    return Recurring(
        message=message,
        due_at=from_microseconds(due_at) if state is State.SCHEDULED else None,
        aside=bool(aside),
        follows=None if successor is None else _following(message, successor),
    )


def _following(message: Message, text: str) -> Message | None:
    try:
        return succeeded(message, successor_of(text), message.occurrence_count)
    except (UnreadableRecord, ValueError, TypeError, KeyError, OverflowError):
        return None
