"""Event names, and how much there is of each: by the index on them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from duly.moment import from_microseconds
from duly.store import NameStats
from duly_postgres.connection import Executor, Row
from duly_postgres.listing import storable_before
from duly_postgres.names import Names
from duly_postgres.sql_ahead import NAMED, OF_NAMES

__all__ = ["by_name"]

_AT_ONCE: Final = 32  # names
_ENOUGH: Final = 100_000  # messages; a page that has looked at so many ends there


async def by_name(
    db: Executor, names: Names, now: datetime | None, *, after: str | None, limit: int, most: int
) -> Sequence[NameStats]:
    """The event names behind one, and how much there is of each."""
    rows = await db.fetch(names(NAMED), storable_before(after or ""), limit)
    known = [row["event_name"] for row in rows]
    found: list[NameStats] = []
    looked_at = 0
    for start in range(0, len(known), _AT_ONCE):
        some = known[start : start + _AT_ONCE]
        for row in await db.fetch(names(OF_NAMES), now, some, most + 1):
            looked_at += row["number"]
            if row["number"]:  # else the last of them went meanwhile
                found.append(_stats(row, most))
        if looked_at >= _ENOUGH and found:
            break
    return found


def _stats(row: Row, most: int) -> NameStats:
    number, dead, claimed, due = (row[each] for each in ("number", "dead", "claimed", "due"))
    oldest = row["oldest"]
    return NameStats(
        name=row["event_name"],
        scheduled=max(0, number - dead - claimed),
        due=due,
        aside=min(row["aside"], due),
        claimed=claimed,
        dead=dead,
        oldest=None if oldest is None else from_microseconds(oldest),
        at_least=number > most,
    )
