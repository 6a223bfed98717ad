"""Of which names what is due waits: along the narrow table of the line."""

import sqlite3
from datetime import datetime

from duly.moment import from_microseconds, to_microseconds
from duly.store import Overdue, OverdueName
from duly_sqlite import sql_ahead
from duly_sqlite.ahead import FIRST
from duly_sqlite.records import fetch

__all__ = ["overdue"]


def overdue(db: sqlite3.Cursor, before: datetime, look_at: int) -> Overdue:
    """Of which names what is due waits in the main line."""
    end = to_microseconds(before)
    found: dict[str, tuple[int, int, bool]] = {}
    looked_at = 0
    for suspect in (1, 0):
        for name, number, first, aside in fetch(
            db, sql_ahead.OVERDUE, (suspect, end, look_at - looked_at)
        ):
            looked_at += number
            if isinstance(name, str):  # else no text can be decoded from it
                before_it, oldest, _ = found.get(name, (0, first, False))
                found[name] = before_it + number, min(oldest, first), bool(aside)
    complete = looked_at < look_at
    if not complete:
        ((due,),) = db.execute(sql_ahead.IN_LINE, (FIRST, end, look_at + 1) * 2)
        complete = due <= look_at
    return Overdue(
        names=[
            OverdueName(name=name, in_line=number, oldest=from_microseconds(first), aside=aside)
            for name, (number, first, aside) in found.items()
        ],
        complete=complete,
    )
