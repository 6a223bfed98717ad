"""What callers do to messages: put, cancel, reschedule. Each runs within a transaction."""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from duly import DuplicateMessage, Message, State
from duly.message import with_changes
from duly.moment import from_microseconds, to_microseconds
from duly.record import to_record
from duly.store import Group
from duly_sqlite import sql

__all__ = ["STATES", "cancel", "put", "reschedule", "row"]

_LAST: Final = datetime.max.replace(tzinfo=UTC)  # no moment is later

STATES: Final = (State.SCHEDULED, State.CLAIMED, State.DEAD)
"""By the number that :data:`duly_sqlite.sql.STATE` brings."""


class Found(NamedTuple):
    """What is stored under an id."""

    key: int
    due_at: int
    lapses: int
    created_at: int
    state_number: int

    @property
    def state(self) -> State:
        """The state it is in."""
        return STATES[self.state_number]


def row(message: Message) -> tuple[Any, ...]:
    """What is inserted of a message; its counters start anew, whatever it brings with it."""
    record = to_record(message)
    return (record.next_attempt_at, *record[:10], 0, 0, None, *record[13:])


def put(db: sqlite3.Cursor, groups: Sequence[Group]) -> Sequence[Exception | None]:
    """Store groups; one outcome for each."""
    (last_key,) = db.execute(sql.LAST_KEY).fetchone()
    outcomes: Sequence[Exception | None] = [None] * len(groups)
    try:
        if any(group.replace for group in groups):
            outcomes = _put_with_care(db, groups)
        else:
            _insert(db, (message for group in groups for message in group.messages))
    except sqlite3.IntegrityError:  # an id is taken, which is rare
        db.execute(sql.REMOVE_NEW, (last_key,))
        outcomes = _put_with_care(db, groups)
    db.execute(sql.LINE_UP_NEW, (last_key,))
    return outcomes


def _put_with_care(db: sqlite3.Cursor, groups: Sequence[Group]) -> Sequence[Exception | None]:
    outcomes: list[Exception | None] = []
    for group in groups:
        found = {message.id: _find(db, message.id) for message in group.messages}
        error = None if group.replace else _refusal(group, found)
        outcomes.append(error)
        if error is None:
            _insert(db, _wanted(db, group, found))
    return outcomes


def _refusal(group: Group, found: dict[str, Found | None]) -> DuplicateMessage | None:
    for message in group.messages:
        stored = found[message.id]
        if stored is not None and stored.created_at != to_microseconds(message.created_at):
            return DuplicateMessage(f"a message with the id {message.id!r} is stored already")
    return None


def _wanted(db: sqlite3.Cursor, group: Group, found: dict[str, Found | None]) -> Iterable[Message]:
    """The messages to insert, when what they replace has been removed."""
    wanted = []
    for message in group.messages:
        stored = found[message.id]
        if stored is None:
            wanted.append(message)
        elif group.replace:
            _remove(db, stored)
            wanted.append(_made_newer(message, from_microseconds(stored.created_at)))
    return wanted


def _made_newer(message: Message, replaced: datetime) -> Message:
    if message.created_at > replaced or replaced == _LAST:
        return message
    newer = replaced + timedelta(microseconds=1)
    return with_changes(message, created_at=newer, _delivery_id=None)


def cancel(
    db: sqlite3.Cursor, ids: Sequence[str], of_state: State | None
) -> Sequence[State | None]:
    """Remove messages; the state each was found in."""
    states: list[State | None] = []
    for id in ids:
        found = _find(db, id)
        states.append(None if found is None else found.state)
        if found is not None and of_state in (None, found.state):
            _remove(db, found)
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
    _leave_line(db, found)
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


def _remove(db: sqlite3.Cursor, found: Found) -> None:
    """Take a message out. If it is claimed, its lease still names the key: see renew."""
    _leave_line(db, found)
    db.execute(sql.REMOVE, (found.key,))


def _leave_line(db: sqlite3.Cursor, found: Found) -> None:
    if found.state is State.SCHEDULED:
        db.execute(sql.LEAVE_LINE, (found.lapses, found.due_at, found.key))
