"""What ends claims: deliveries, put-backs, burials. Runs within a transaction."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from duly import Message, State
from duly.message import with_changes
from duly.moment import to_microseconds
from duly.record import UnreadableRecord, from_record, occurrence, to_record
from duly.store import Bury, Key, Release, Reschedule, Settle, Settlement
from duly_sqlite import sql
from duly_sqlite.aside import set_aside
from duly_sqlite.line import put_in_line
from duly_sqlite.reading import fetch, show

__all__ = ["settle_all"]


def settle_all(db: sqlite3.Cursor, now: int, settles: Sequence[Settle]) -> Sequence[bool]:
    """Do what settles say, in order; False, and nothing, for a token that is not valid."""
    return [_settle(db, now, each) for each in settles]


def _settle(db: sqlite3.Cursor, now: int, settle: Settle) -> bool:
    lease = db.execute(sql.HELD, (settle.token, now)).fetchone()
    if lease is None:
        return False
    (held,) = lease
    if settle.only is None:
        db.execute(sql.END_LEASE, (settle.token,))
        if not settle.exceptions:
            db.execute(sql.REMOVE_ALL, (held,))
            return True
        settled = json.loads(held)
    else:
        only, all_held = set(settle.only), json.loads(held)
        settled = [key for key in all_held if key in only]
        if settled:
            left = [key for key in all_held if key not in only]
            db.execute(sql.KEEP_IN_LEASE, (str(left), settle.token))
    _settle_each(db, settled, settle.exceptions)
    return True


def _settle_each(
    db: sqlite3.Cursor, keys: Sequence[int], exceptions: Mapping[Key, Settlement]
) -> None:
    delivered: list[int] = []
    releases: list[tuple[Any, ...]] = []
    reschedules: list[tuple[Any, ...]] = []
    back: list[int] = []
    for key in keys:
        match exceptions.get(key):
            case None:
                delivered.append(key)
            case Release(at):
                due_at = to_microseconds(at)
                releases.append((due_at, key, due_at))
                back.append(key)
            case Reschedule() as reschedule:
                reschedules.append(_values(key, reschedule))
                back.append(key)
            case Bury() as bury:
                if not _bury(db, key, bury):
                    continue
                if bury.next is None:
                    delivered.append(key)
                else:
                    reschedules.append(_values(key, bury.next))
                    back.append(key)
    db.execute(sql.REMOVE_ALL, (str(delivered),))
    db.executemany(sql.RELEASE, releases)
    db.executemany(sql.RESCHEDULE, reschedules)
    put_in_line(db, str(back))


def _values(key: int, reschedule: Reschedule) -> tuple[Any, ...]:
    due_at, counters = to_microseconds(reschedule.next_attempt_at), reschedule.counters
    return (
        due_at,
        due_at,
        to_microseconds(counters.scheduled_at),
        counters.retry_count,
        counters.occurrence_count,
        counters.last_error,
        key,
    )


def _bury(db: sqlite3.Cursor, key: int, bury: Bury) -> bool:
    """Make a dead letter; whether a series is left that goes on or ends."""
    if db.execute(sql.BURY, (bury.reason, key)).rowcount:
        return False
    record = next(iter(fetch(db, sql.LOAD, (key,))), None)
    if record is None:  # cancelled meanwhile
        return False
    try:
        message = from_record(record, State.CLAIMED)
    except UnreadableRecord:  # since it was claimed
        set_aside(db, key, show(key, record, State.DEAD))
        return False
    _insert_dead(db, occurrence(message, bury.reason))
    return True


def _insert_dead(db: sqlite3.Cursor, message: Message) -> None:
    while db.execute(sql.IS_TAKEN, (message.id,)).fetchone():
        message = with_changes(message, id=f"{message.id}+")
    record = to_record(message)
    db.execute(sql.INSERT_DEAD, (record.next_attempt_at, *record))
