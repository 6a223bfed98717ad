"""Event names as rows: what each is, how much there is of it, how fast it goes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from weakref import WeakKeyDictionary

import attrs

from duly import Control, NameStats
from duly_web.pages.snapshot import Snapshot

__all__ = ["RANKS", "EventRow", "needing", "row_of", "rows_of", "worst"]

_LATE: Final = timedelta(seconds=10)
RANKS: Final = ("late", "failing", "burying", "paused", "limited", "dead", "well")


@attrs.frozen(kw_only=True)
class EventRow:
    """An event name: in a word what it is, and its figures; None where nobody knows."""

    name: str
    word: str
    late: int
    waiting: int
    aside: int
    claimed: int
    dead: int
    at_least: bool
    oldest: datetime | None
    per_minute: float | None
    failed: int | None
    p99: float | None
    pause: tuple[str, Control] | None
    limit: tuple[str, Control] | None


def row_of(snapshot: Snapshot, name: NameStats) -> EventRow:
    """One of them."""
    figures = None if snapshot.hour is None else snapshot.hour.events.get(name.name)
    pause, limit = snapshot.paused(name.name), snapshot.limited(name.name)
    due = name.due - name.aside
    late = 0
    held = pause is not None or (limit is not None and name.aside)
    if name.oldest is not None and snapshot.as_of - name.oldest > _LATE and not held:
        late = max(due, 0)
    none = None if snapshot.hour is None else 0
    failed = none if figures is None else figures.failed
    row = EventRow(
        name=name.name, word="well", late=late, waiting=name.scheduled, aside=name.aside,
        claimed=name.claimed, dead=name.dead, at_least=name.at_least, oldest=name.oldest,
        per_minute=none if figures is None else round(figures.per_minute, 1), failed=failed,
        p99=None if figures is None else figures.p99, pause=pause, limit=limit,
    )  # fmt: skip
    return attrs.evolve(row, word=_word(row, 0 if figures is None else figures.buried))


def _word(row: EventRow, buried: int) -> str:
    if row.pause is not None:
        return "paused"
    if row.late:
        return "late"
    if buried:
        return "burying"
    if row.failed:
        return "failing"
    if row.limit is not None:
        return "limited"
    return "dead" if row.dead else "well"


_made: Final = WeakKeyDictionary[Snapshot, Sequence[EventRow]]()


def rows_of(snapshot: Snapshot) -> Sequence[EventRow]:
    """All of a snapshot, in the order of names; made once for all who look."""
    rows = _made.get(snapshot)
    if rows is None:
        rows = _made[snapshot] = [row_of(snapshot, each) for each in snapshot.names or ()]
    return rows


def worst(rows: Sequence[EventRow]) -> list[EventRow]:
    """Those that are not as they should be, the worst first."""
    found = [each for each in rows if each.word != "well"]
    return sorted(found, key=lambda e: (_rank(e), -e.late, -e.dead, -e.waiting, e.name))


def needing(rows: Sequence[EventRow], most: int) -> list[EventRow]:
    """The worst of them, in an order that stays as it is while figures change."""
    return sorted(worst(rows)[:most], key=lambda e: (_rank(e), e.name))


def _rank(row: EventRow) -> int:
    return RANKS.index(row.word)
