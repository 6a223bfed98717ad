"""What callers do to messages: put, cancel, reschedule. Each runs within a transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from duly import Message, State
from duly.moment import to_microseconds
from duly.record import to_record
from duly.store import Group, as_stored, plan_put
from duly_sqlite import sql, sql_lines

__all__ = ["STATES", "cancel", "put", "reschedule", "row"]

STATES: Final = (State.SCHEDULED, State.CLAIMED, State.DEAD)
"""By the number that :data:`duly_sqlite.sql.STATE` brings."""


class Found(NamedTuple):
    """What is stored under an id."""

    key: int
    due_at: int
    lapses: int
    created_at: int
    given_at: int | None
    state_number: int

    @property
    def state(self) -> State:
        """The state it is in."""
        return STATES[self.state_number]


def row(message: Message) -> tuple[Any, ...]:
    """The values to insert for a message."""
    record = to_record(message)
    return (record.next_attempt_at, *record)


def put(db: sqlite3.Cursor, groups: Sequence[Group]) -> Sequence[Exception | None]:
    """Store groups; one outcome for each."""
    special = any(group.replace or group.as_is for group in groups)
    alone = len(groups) == 1 and len(groups[0].messages) == 1 and not special
    if alone and _put_one(db, as_stored(groups[0].messages[0])):
        return [None]
    (last_key,) = db.execute(sql.LAST_KEY).fetchone()
    outcomes: Sequence[Exception | None] = [None] * len(groups)
    try:
        if special:
            outcomes = _put_with_care(db, groups)
        else:
            _insert(db, (as_stored(message) for group in groups for message in group.messages))
    except sqlite3.IntegrityError:  # an id is taken, which is rare
        db.execute(sql.REMOVE_NEW, (last_key,))
        outcomes = _put_with_care(db, groups)
    db.execute(sql.LINE_UP_NEW, (last_key,))
    return outcomes


def _put_one(db: sqlite3.Cursor, message: Message) -> bool:
    """Store a message, unless its id is taken, which is rare."""
    values = row(message)
    try:
        db.execute(sql.INSERT, values)
    except sqlite3.IntegrityError:
        return False
    db.execute(sql.LINE_UP_ONE, (values[0], db.lastrowid))
    return True


def _put_with_care(db: sqlite3.Cursor, groups: Sequence[Group]) -> Sequence[Exception | None]:
    looked_up = ((each.id, _find(db, each.id)) for group in groups for each in group.messages)
    plan = plan_put(groups, {id: found for id, found in looked_up if found is not None})
    for found in plan.replaced.values():
        remove(db, found)
    _insert(db, (each for each in plan.inserts if each.state is not State.DEAD))
    dead = (each for each in plan.inserts if each.state is State.DEAD)
    db.executemany(sql.INSERT_DEAD, map(row, dead))
    return plan.outcomes


def cancel(
    db: sqlite3.Cursor, ids: Sequence[str], of_state: State | None
) -> Sequence[State | None]:
    """Remove messages; the state each was found in."""
    states: list[State | None] = []
    for id in ids:
        found = _find(db, id)
        states.append(None if found is None else found.state)
        if found is not None and of_state in (None, found.state):
            remove(db, found)
    return states


def reschedule(db: sqlite3.Cursor, id: str, at: datetime | None, of_state: State) -> State | None:
    """Move a message found in ``of_state``; the state it was found in."""
    found = _find(db, id)
    if found is None or found.state is not of_state:
        return None if found is None else found.state
    if at is None:
        (due_at,) = db.execute(sql.SCHEDULED_AT, (found.key,)).fetchone()
    else:
        due_at = to_microseconds(at)
    (last_key,) = db.execute(sql.LAST_KEY).fetchone()
    leave_line(db, found)
    db.execute(sql.RENAME, (found.key, due_at))
    db.execute(sql.MOVE, (due_at, due_at, due_at, found.key))
    db.execute(sql.LINE_UP_NEW, (last_key,))
    return of_state


def _insert(db: sqlite3.Cursor, messages: Iterable[Message]) -> None:
    db.executemany(sql.INSERT, map(row, messages))


def _find(db: sqlite3.Cursor, id: str) -> Found | None:
    try:
        found = db.execute(sql.FIND, (id,)).fetchone()
    except UnicodeEncodeError:  # text that no stored message can have
        return None
    return None if found is None else Found._make(found)


def insert(db: sqlite3.Cursor, message: Message) -> int:
    """Store a message whose id is free, and let it wait; its key."""
    values = row(message)
    db.execute(sql.INSERT, values)
    key = db.lastrowid
    assert key is not None  # noqa: S101  # after an insert it is there
    db.execute(sql.LINE_UP_ONE, (values[0], key))
    return key


def remove(db: sqlite3.Cursor, found: Found) -> None:
    """Take a message out. If it is claimed, its lease still names the key: see renew."""
    leave_line(db, found)
    db.execute(sql.REMOVE, (found.key,))


def leave_line(db: sqlite3.Cursor, found: Found) -> None:
    """Take a message out of the line in which it waits, if it does."""
    if found.state is State.SCHEDULED:
        left = db.execute(sql.LEAVE_LINE, (found.lapses, found.due_at, found.key)).rowcount
        if not left:
            leave_siding(db, found)


def leave_siding(db: sqlite3.Cursor, found: Found) -> bool:
    """Take a message out of its siding; whether it stood there."""
    return bool(db.execute(sql_lines.LEAVE_SIDING, (found.key, found.due_at, found.key)).rowcount)
