"""Event names, and how much there is of each: by the index on them."""

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any, Final

from duly.moment import from_microseconds
from duly.store import NameStats
from duly_sqlite import sql_ahead
from duly_sqlite.records import fetch

__all__ = ["names"]

_ENOUGH: Final = 100_000  # messages; a page that has looked at so many ends there


def names(
    db: sqlite3.Cursor, now: int, after: str | None, limit: int, most: int
) -> Sequence[NameStats]:
    """The event names behind one, and how much there is of each."""
    claimed: dict[Any, list[int]] = {}
    for name, key in fetch(db, sql_ahead.CLAIMED, ()):
        claimed.setdefault(name, []).append(key)
    found: list[NameStats] = []
    looked_at = 0
    for name in _known(db, after or ""):
        if not isinstance(name, str):  # what no text can be decoded from; list() shows it
            continue
        held = str(claimed.get(name, []))
        one = db.execute(sql_ahead.OF_NAME, (now, held, name, most + 1)).fetchone()
        ((aside,),) = db.execute(sql_ahead.ASIDE_OF_NAME, (name, most + 1))
        if one[0]:  # else the last of them went meanwhile
            found.append(_stats(name, one, aside, most))
            looked_at += one[0]
        if len(found) == limit or looked_at >= _ENOUGH:
            break
    return found


def _known(db: sqlite3.Cursor, after: str) -> Iterator[str | bytes]:
    while rows := fetch(db, sql_ahead.NEXT_NAME, (after,)):
        ((after,),) = rows
        yield after


def _stats(name: str, one: Sequence[Any], aside: int, most: int) -> NameStats:
    number, dead, claimed, due, oldest = one
    return NameStats(
        name=name,
        scheduled=number - dead - claimed,
        due=due,
        aside=min(aside, due),
        claimed=claimed,
        dead=dead,
        oldest=None if oldest is None else from_microseconds(oldest),
        at_least=number > most,
    )
