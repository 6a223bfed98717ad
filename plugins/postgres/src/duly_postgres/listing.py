"""What callers look at: get, where, list, stats."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from duly import Filter, Message, State, Stats
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly.store import Whereabouts
from duly_postgres.columns import SORTED_ID
from duly_postgres.connection import Connection, Executor, Row
from duly_postgres.following import following
from duly_postgres.foreign import native
from duly_postgres.giving import storable
from duly_postgres.names import Names
from duly_postgres.records import show
from duly_postgres.sql_storing import (
    IN_LEASES,
    LISTED,
    LISTED_WITHIN,
    LISTED_WITHIN_WITHOUT_PAYLOAD,
    LISTED_WITHOUT_PAYLOAD,
    STATE,
    STATS,
    WHERE,
)
from duly_postgres.storing import STATES

__all__ = ["get", "list_", "statement_for", "stats", "storable_before", "where"]

_LISTED: Final = {
    (False, True): LISTED,
    (False, False): LISTED_WITHOUT_PAYLOAD,
    (True, True): LISTED_WITHIN,
    (True, False): LISTED_WITHIN_WITHOUT_PAYLOAD,
}
"""By whether it is within a caller's transaction, and with payloads."""


async def get(db: Executor, names: Names, id: str) -> Message | None:
    """The message of that id; None when there is none."""
    if not storable(id):
        return None
    within = _is_callers(db)
    rows = await db.fetch(names(f"{_LISTED[within, True]} WHERE m.id = $1::text"), id)
    return _shown(rows[0], within=within) if rows else None


async def where(db: Executor, names: Names, id: str) -> Whereabouts | None:
    """In whose hands a message is; None when there is none."""
    rows = await db.fetch(names(WHERE), id) if storable(id) else ()
    for number, due_at, lapses, owner, end, text, aside, *record in rows:
        state = STATES[number]
        return Whereabouts(
            state=state,
            due_at=from_microseconds(due_at) if state is State.SCHEDULED else None,
            lapses=lapses,
            aside=aside,
            owner=owner,
            lease_ends_at=None if end is None else from_microseconds(end),
            follows=None if text is None else following(record, text),
        )
    return None


async def list_(
    db: Executor,
    names: Names,
    filter: Filter,
    from_key: tuple[datetime, str] | None,
    *,
    payload: bool,
) -> Sequence[Message]:
    """The messages that match, by ``(scheduled_at, id)``."""
    if filter.event_name is not None and not storable(filter.event_name):
        return []
    if from_key is not None:
        from_key = from_key[0], storable_before(from_key[1])
    within = _is_callers(db)
    statement, arguments = statement_for(filter, from_key, payload=payload, within=within)
    rows = await db.fetch(names(statement), *arguments)
    return [_shown(row, within=within) for row in rows]


def _is_callers(db: Executor) -> bool:
    """Whether it is a transaction of the caller's, whose connection has other settings."""
    return not isinstance(db, Connection)


def storable_before(id: str) -> str:
    """The text, or where it would stand among those that PostgreSQL can hold."""
    for place, character in enumerate(id):
        if character == "\0":
            return id[:place]
        if "\ud800" <= character <= "\udfff":
            return f"{id[:place]}\ud7ff\U0010ffff"
    return id


def statement_for(
    filter: Filter,
    from_key: tuple[datetime, str] | None = None,
    *,
    payload: bool = True,
    within: bool = False,
) -> tuple[str, Sequence[Any]]:
    """The statement that lists, and its arguments."""
    arguments: list[Any] = []

    def given(value: Any) -> str:
        if isinstance(value, datetime):
            arguments.append(value.isoformat() if within else to_microseconds(value))
            return f"${len(arguments)}{'::text' if within else ''}::timestamptz"
        arguments.append(value)
        return f"${len(arguments)}"

    conditions = [*_of_kind(filter, given), *_of_time(filter, from_key, given)]
    paging = f"LIMIT {given(filter.limit)}::bigint OFFSET {given(filter.offset)}::bigint"
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    listed = _LISTED[within, payload]
    return f"{listed} {where} ORDER BY m.scheduled_at, m.{SORTED_ID} {paging}", arguments


Given = Callable[[Any], str]
"""Adds an argument to the statement; returns its name there."""


def _of_kind(filter: Filter, given: Given) -> Iterator[str]:
    """The conditions on name and state."""
    if filter.event_name == UNREADABLE:
        yield "m.dead = 2"
    elif filter.event_name is not None:
        yield f"m.event_name = {given(filter.event_name)}::text"
    if filter.state is State.DEAD or filter.event_name == UNREADABLE:
        yield "m.dead > 0"  # which has an index of its own
    if filter.state is State.CLAIMED:
        yield IN_LEASES
    if filter.state is not None:
        yield f"{STATE} = {STATES.index(filter.state)}"


def _of_time(filter: Filter, from_key: tuple[datetime, str] | None, given: Given) -> Iterator[str]:
    """The conditions on time.

    Of two places to start from only the later is given: an index might begin at the other one.
    """
    if from_key is not None and (filter.after is None or filter.after <= from_key[0]):
        moment, id = given(from_key[0]), given(from_key[1])
        yield f"(m.scheduled_at, m.{SORTED_ID}) > ({moment}, {id}::text)"
    elif filter.after is not None:
        yield f"m.scheduled_at >= {given(filter.after)}"
    if filter.before is not None:
        yield f"m.scheduled_at <= {given(filter.before)}"


async def stats(db: Executor, names: Names, now: datetime | None) -> Stats:
    """How much there is, from the narrow tables and indexes."""
    (row,) = await db.fetch(names(STATS), now)
    oldest, coming = (
        [moment for moment in row[name] if moment is not None] for name in ("oldest", "coming")
    )
    first_aside = row["oldest_aside"]
    return Stats(
        scheduled=row["in_line"] + row["aside"],
        claimed=row["claimed"],
        dead=row["dead"],
        oldest_due=from_microseconds(min(oldest)) if oldest else None,
        next_due=from_microseconds(min(coming)) if coming else None,
        aside=row["aside"],
        oldest_aside=None if first_aside is None else from_microseconds(first_aside),
    )


def _shown(row: Row, *, within: bool) -> Message:
    record = row[2:]
    return show(native(record) if within else record, STATES[row[1]])
