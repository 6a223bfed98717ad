"""What callers look at: get, list, stats."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from duly import Filter, Message, State, Stats
from duly.message import UNREADABLE
from duly.moment import from_microseconds, to_microseconds
from duly.record import UnreadableRecord, encodable, from_record, successor_of
from duly.store import Whereabouts, succeeded
from duly_sqlite import sql, sql_lines
from duly_sqlite.records import fetch, show
from duly_sqlite.storing import STATES

__all__ = ["get", "list_", "stats", "where"]


def get(db: sqlite3.Cursor, id: str) -> Message | None:
    """The message of that id; None when there is none."""
    if not encodable(id):
        return None
    rows = fetch(db, sql.GET, (id,))
    return _shown(rows[0]) if rows else None


def where(db: sqlite3.Cursor, id: str) -> Whereabouts | None:
    """In whose hands a message is; None when there is none."""
    found = db.execute(sql.WHERE, (id,)).fetchone() if encodable(id) else None
    if found is None:
        return None
    number, due_at, lapses, owner, end, text, key, aside = found
    state = STATES[number]
    return Whereabouts(
        state=state,
        due_at=from_microseconds(due_at) if state is State.SCHEDULED else None,
        lapses=lapses,
        aside=bool(aside),
        owner=owner,
        lease_ends_at=None if end is None else from_microseconds(end),
        follows=None if text is None else _following(db, key, text),
    )


def _following(db: sqlite3.Cursor, key: int, text: str) -> Message | None:
    try:
        ((_, *record),) = fetch(db, sql.LOAD, (str([key]),))
        message = from_record(record, State.SCHEDULED)
        return succeeded(message, successor_of(text), message.occurrence_count)
    except (UnreadableRecord, ValueError, TypeError, KeyError, OverflowError):
        return None


def list_(
    db: sqlite3.Cursor,
    filter: Filter,
    from_key: tuple[datetime, str] | None,
    *,
    payload: bool = True,
) -> Sequence[Message]:
    """The messages that match, by ``(scheduled_at, id)``."""
    if filter.event_name is not None and not encodable(filter.event_name):
        return []
    source, conditions, parameters = _plan(filter)
    # Of two places to start from only the later is given: SQLite would begin at the other one.
    if from_key is not None and (filter.after is None or filter.after <= from_key[0]):
        conditions.append("(scheduled_at, id) > (?, ?)")
        parameters += [to_microseconds(from_key[0]), from_key[1]]
    elif filter.after is not None:
        conditions.append("scheduled_at >= ?")
        parameters.append(to_microseconds(filter.after))
    if filter.before is not None:
        conditions.append("scheduled_at <= ?")
        parameters.append(to_microseconds(filter.before))
    shown = sql.SHOWN if payload else sql.SHOWN_WITHOUT_PAYLOAD
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    statement = f"SELECT {shown} {source} {where} ORDER BY scheduled_at, id LIMIT ? OFFSET ?"
    parameters += [-1 if filter.limit is None else filter.limit, filter.offset]
    return [_shown(row) for row in fetch(db, statement, parameters)]


def _plan(filter: Filter) -> tuple[str, list[str], list[Any]]:
    """Which index serves a filter, and what it asks of name and state."""
    conditions: list[str] = []
    parameters: list[Any] = []
    if filter.event_name == UNREADABLE:
        conditions.append("dead = 2")
    elif filter.event_name is not None:
        # With a plus no index by name is used: claimed messages are few, and found by their keys.
        conditions.append(f"{'+' if filter.state is State.CLAIMED else ''}event_name = ?")
        parameters.append(filter.event_name)
    match filter.state:
        case State.DEAD:
            conditions.append("dead > 0")
        case State.CLAIMED:
            conditions += ["dead = 0", sql.IN_LEASES]
        case State.SCHEDULED:
            conditions.append(f"{sql.STATE} = 0")
    if filter.state is State.DEAD or filter.event_name == UNREADABLE:
        return sql.LIST_DEAD, ["dead > 0", *conditions], parameters
    if filter.state is State.CLAIMED:
        return sql.LIST_CLAIMED, conditions, parameters
    return (
        sql.LIST_BY_TIME if filter.event_name is None else sql.LIST_BY_NAME,
        conditions,
        parameters,
    )


def stats(db: sqlite3.Cursor, now: int) -> Stats:
    """How much there is, from the narrow tables and indexes."""
    scheduled, claimed, dead, *firsts = db.execute(sql.STATS, (now, now)).fetchone()
    aside, oldest_aside = db.execute(sql_lines.STATS).fetchone()
    oldest = [moment for moment in firsts[:2] if moment is not None and moment <= now]
    coming = [moment for moment in firsts[2:] if moment is not None]
    return Stats(
        scheduled=scheduled + aside,
        claimed=claimed,
        dead=dead,
        oldest_due=from_microseconds(min(oldest)) if oldest else None,
        next_due=from_microseconds(min(coming)) if coming else None,
        aside=aside,
        oldest_aside=None if oldest_aside is None else from_microseconds(oldest_aside),
    )


def _shown(row: Sequence[Any]) -> Message:
    key, state, *record = row
    return show(key, record, STATES[state])
