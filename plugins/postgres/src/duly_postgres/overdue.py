"""Of which names what is due waits: along the narrow table of the line."""

from datetime import datetime

from duly.moment import FIRST, from_microseconds, to_microseconds
from duly.store import Overdue, OverdueName
from duly_postgres.connection import Executor
from duly_postgres.names import Names
from duly_postgres.sql_ahead import IN_SPANS, OVERDUE

__all__ = ["overdue"]


async def overdue(db: Executor, names: Names, before: datetime, look_at: int) -> Overdue:
    """Of which names what is due waits in the main line."""
    end = to_microseconds(before)
    found: dict[str, tuple[int, int, bool]] = {}
    looked_at = 0
    for suspect in (True, False):
        for name, number, first, aside in await db.fetch(
            names(OVERDUE), suspect, end, look_at - looked_at
        ):
            looked_at += number
            before_it, oldest, _ = found.get(name, (0, first, False))
            found[name] = before_it + number, min(oldest, first), aside
    complete = looked_at < look_at
    if not complete:
        (row,) = await db.fetch(names(IN_SPANS), [FIRST - 1], [end], look_at + 1)
        complete = row["number"] <= look_at
    return Overdue(
        names=[
            OverdueName(name=name, in_line=number, oldest=from_microseconds(first), aside=aside)
            for name, (number, first, aside) in found.items()
        ],
        complete=complete,
    )
