"""What callers look at: get, list, stats."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from duly import Filter, Message, State, Stats
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly_postgres.columns import SORTED_ID
from duly_postgres.connection import Executor, Row
from duly_postgres.names import Names
from duly_postgres.reading import show
from duly_postgres.sql_storing import IN_LEASES, LISTED, STATE, STATS
from duly_postgres.storing import STATES, storable

__all__ = ["get", "list_", "statement_for", "stats"]


async def get(db: Executor, names: Names, id: str) -> Message | None:
    """The message of that id; None when there is none."""
    if not storable(id):
        return None
    rows = await db.fetch(names(f"{LISTED} WHERE m.id = $1"), id)
    return _shown(rows[0]) if rows else None


async def list_(
    db: Executor, names: Names, filter: Filter, from_key: tuple[datetime, str] | None
) -> Sequence[Message]:
    """The messages that match, by ``(scheduled_at, id)``."""
    if filter.event_name is not None and not storable(filter.event_name):
        return ()
    if from_key is not None:
        from_key = from_key[0], _storable_before(from_key[1])
    statement, arguments = statement_for(filter, from_key)
    return [_shown(row) for row in await db.fetch(names(statement), *arguments)]


def _storable_before(id: str) -> str:
    """The id, or where it would stand among those that PostgreSQL can hold."""
    for place, character in enumerate(id):
        if character == "\0":
            return id[:place]
        if "\ud800" <= character <= "\udfff":
            return f"{id[:place]}\ud7ff\U0010ffff"
    return id


def statement_for(
    filter: Filter, from_key: tuple[datetime, str] | None = None
) -> tuple[str, Sequence[Any]]:
    """The statement that lists, and its arguments."""
    arguments: list[Any] = []

    def given(value: Any) -> str:
        arguments.append(value)
        return f"${len(arguments)}"

    conditions = [*_of_kind(filter, given), *_of_time(filter, from_key, given)]
    paging = f"LIMIT {given(filter.limit)}::bigint OFFSET {given(filter.offset)}::bigint"
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"{LISTED} {where} ORDER BY m.scheduled_at, m.{SORTED_ID} {paging}", arguments


Given = Callable[[Any], str]
"""Takes an argument of the statement; how it is called there."""


def _of_kind(filter: Filter, given: Given) -> Iterator[str]:
    """The conditions on name and state."""
    if filter.event_name == UNREADABLE:
        yield "m.dead = 2"
    elif filter.event_name is not None:
        yield f"m.event_name = {given(filter.event_name)}"
    if filter.state is State.DEAD or filter.event_name == UNREADABLE:
        yield "m.dead > 0"  # which has an index of its own
    if filter.state is State.CLAIMED:
        yield IN_LEASES
    if filter.state is not None:
        yield f"{STATE} = {STATES.index(filter.state)}"


def _of_time(filter: Filter, from_key: tuple[datetime, str] | None, given: Given) -> Iterator[str]:
    """The conditions on time.

    Only the later of two places to start from: an index would begin at the other one each time.
    """
    if from_key is not None and (filter.after is None or filter.after <= from_key[0]):
        moment, id = given(to_microseconds(from_key[0])), given(from_key[1])
        yield f"(m.scheduled_at, m.{SORTED_ID}) > ({moment}::timestamptz, {id}::text)"
    elif filter.after is not None:
        yield f"m.scheduled_at >= {given(to_microseconds(filter.after))}::timestamptz"
    if filter.before is not None:
        yield f"m.scheduled_at <= {given(to_microseconds(filter.before))}::timestamptz"


async def stats(db: Executor, names: Names, now: datetime | None) -> Stats:
    """How much there is, from the narrow tables and indexes."""
    (row,) = await db.fetch(names(STATS), now)
    oldest, coming = (
        [moment for moment in row[name] if moment is not None] for name in ("oldest", "coming")
    )
    return Stats(
        scheduled=row["scheduled"],
        claimed=row["claimed"],
        dead=row["dead"],
        oldest_due=from_microseconds(min(oldest)) if oldest else None,
        next_due=from_microseconds(min(coming)) if coming else None,
    )


def _shown(row: Row) -> Message:
    return show(row[2:], STATES[row[1]])
