"""Series that are ensured and declared. Runs within a transaction."""

import contextlib
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final

from duly import DuplicateMessage, Message, State
from duly.message import with_changes
from duly.moment import from_microseconds
from duly.record import (
    NewerRecord,
    UnreadableRecord,
    encodable,
    from_record,
    successor_of,
    successor_text,
    to_record,
)
from duly.store import (
    Declared,
    Ensured,
    EnsurePlan,
    Key,
    Successor,
    ensured,
    succeeded,
    to_be_moved,
)
from duly_sqlite import sql, sql_series, storing
from duly_sqlite.line import put_in_line
from duly_sqlite.records import fetch
from duly_sqlite.storing import STATES, Found

__all__ = ["ensure", "give_way", "reschedule", "successors", "take_place", "undeclare"]

_DAMAGE: Final = (ValueError, TypeError, KeyError, OverflowError)
"""What :func:`duly.record.successor_of` raises for a text that is none."""


def ensure(
    db: sqlite3.Cursor, now: int, wanted: Sequence[Message], declared: Declared | None
) -> Sequence[Ensured | Exception]:
    """See to it that these are there; one outcome for each."""
    if declared is not None:
        floor = db.execute(sql_series.FLOOR, (declared.by,)).fetchone()
        if floor is not None and floor[0] > declared.generation:
            return [Ensured.OLDER] * len(wanted)
        db.execute(sql_series.RAISE_FLOOR, (declared.by, declared.generation))
    return [_ensure(db, now, each, declared) for each in wanted]


def undeclare(db: sqlite3.Cursor, by: str, generation: int) -> Sequence[tuple[str, State]]:
    """Remove what was declared with a lower generation."""
    ids = [id for (id,) in db.execute(sql_series.DECLARED_BEFORE, (by, generation)).fetchall()]
    states = storing.cancel(db, ids, None)
    return [(id, state) for id, state in zip(ids, states, strict=True) if state is not None]


def successors(db: sqlite3.Cursor, keys: Sequence[Key]) -> dict[Key, Successor]:
    """What follows those of them that have a successor, as far as it can be read."""
    found = dict[Key, Successor]()
    for key, text in fetch(db, sql_series.SUCCESSORS, (str([*keys]),)):
        with contextlib.suppress(*_DAMAGE):
            found[key] = successor_of(text)
    return found


def give_way(db: sqlite3.Cursor, key: Key, message: Message) -> None:
    """A series is another from now on, its successor, and waits."""
    _rewrite(db, key, message, lapses=0, successor=None)
    put_in_line(db, str([key]))


def take_place(db: sqlite3.Cursor, keys: Sequence[Key]) -> Collection[Key]:
    """Let what follows take the place of series that are over, which are in no line now.

    The keys of those that have given way: all but what cannot be read.
    """
    followed = _followed(db, keys)
    for key, (message, successor) in followed.items():
        follows = succeeded(message, successor, message.occurrence_count)
        if follows is None:
            db.execute(sql.REMOVE, (key,))
        else:
            give_way(db, key, follows)
    return followed.keys()


def reschedule(db: sqlite3.Cursor, id: str, at: datetime | None, of_state: State) -> State | None:
    """As :func:`storing.reschedule`; what follows a series takes its place before that."""
    row = None
    if of_state is State.SCHEDULED and encodable(id):
        row = next(iter(fetch(db, sql_series.FOLLOWED, (id,))), None)
    if row is not None and STATES[row[3]] is State.SCHEDULED:
        key, due_at, lapses, state = row[:4]
        for each in _followed(db, [key]).values():
            storing.leave_line(db, Found(key, due_at, lapses, 0, None, state))
            give_way(db, key, to_be_moved(*each))
    return storing.reschedule(db, id, at, of_state)


def _followed(db: sqlite3.Cursor, keys: Sequence[Key]) -> Mapping[Key, tuple[Message, Successor]]:
    """Series, which wait, and what follows them, as far as both can be read."""
    following, found = successors(db, keys), dict[Key, tuple[Message, Successor]]()
    for key, *record in fetch(db, sql.LOAD, (str([*following]),)):
        with contextlib.suppress(UnreadableRecord):
            found[key] = from_record(record, State.SCHEDULED), following[key]
    return found


def _ensure(
    db: sqlite3.Cursor, now: int, wanted: Message, declared: Declared | None
) -> Ensured | Exception:
    row = next(iter(fetch(db, sql_series.STANDING, (wanted.id,))), None)
    moment = from_microseconds(now)
    key: int | None = None
    if row is None:
        plan = ensured(None, None, wanted, moment)
        if plan.stored is not None:
            key = storing.insert(db, plan.stored)
    else:
        key, due_at, lapses, state, aside, text, *record = row
        try:
            stored = from_record(record, STATES[state])
            follows = None if text is None else successor_of(text)
        except (UnreadableRecord, *_DAMAGE) as error:
            if declared is not None:  # or it would be removed, though it is still declared
                by, generation = declared.by, declared.generation
                db.execute(sql_series.DECLARE_AGAIN, (by, generation, key))
            if isinstance(error, NewerRecord):
                return Ensured.NEWER
            return DuplicateMessage(f"the record under the id {wanted.id!r} cannot be read")
        if aside and stored.recurrence is not None:
            # A version that could not read it had it in hand, and set it aside.
            stored, state, lapses = with_changes(stored, state=State.SCHEDULED), 0, 0
            db.execute(sql_series.TAKE_BACK, (key,))
            put_in_line(db, str([key]))
        plan = ensured(stored, follows, wanted, moment)
        found = Found(key, due_at, lapses, 0, None, state)
        renamed = plan.stored is not None and plan.stored.event_name != stored.event_name
        key = _carry_out(db, found, plan, renamed=renamed)
    if key is not None and declared is not None and isinstance(plan.outcome, Ensured):
        db.execute(sql_series.DECLARE, (declared.by, declared.generation, key))
    return plan.outcome


def _carry_out(db: sqlite3.Cursor, found: Found, plan: EnsurePlan, *, renamed: bool) -> int | None:
    if plan.removes:
        storing.remove(db, found)
        return None
    if plan.stored is not None:
        if plan.moves:
            storing.leave_line(db, found)
            _rewrite(db, found.key, plan.stored, lapses=0, successor=plan.successor)
            put_in_line(db, str([found.key]))
        else:
            back = renamed and storing.leave_siding(db, found)  # that is of one name
            _rewrite(db, found.key, plan.stored, found.lapses, plan.successor, due_at=found.due_at)
            if back:
                put_in_line(db, str([found.key]))
    return found.key


def _rewrite(
    db: sqlite3.Cursor,
    key: Key,
    message: Message,
    lapses: int,
    successor: Successor | None,
    *,
    due_at: int | None = None,
) -> None:
    record = to_record(message)
    place = record.next_attempt_at if due_at is None else due_at
    text = None if successor is None else successor_text(successor)
    db.execute(sql_series.REWRITE, (place, lapses, text, *record, key))
    if successor is not None:
        db.execute(sql_series.NEEDS_READER, (key,))
