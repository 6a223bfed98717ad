"""What ends claims: deliveries, put-backs, burials. Runs within a transaction."""

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from duly import Message, State
from duly.moment import from_microseconds, to_microseconds
from duly.record import NewerRecord, UnreadableRecord, from_record, to_record, with_next_id
from duly.store import Key, Reschedule, Settle, buried_keys, plan_settle
from duly_sqlite import sql
from duly_sqlite.aside import postpone, set_aside
from duly_sqlite.line import put_in_line
from duly_sqlite.records import fetch, show
from duly_sqlite.series import give_way, successors

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
    _settle_some(db, now, settle, dict.fromkeys(json.loads(held)))
    return True


def _settle_some(db: sqlite3.Cursor, now: int, settle: Settle, held: dict[Key, None]) -> None:
    followed = successors(db, [key for key in settle.exceptions if key in held])
    messages = _messages(db, now, list({*buried_keys(settle, held), *followed}))
    plan = plan_settle(settle, held, messages, now=from_microseconds(now), successors=followed)
    if plan.left and not plan.ends:
        kept = held.keys() - plan.left
        db.execute(sql.KEEP_IN_LEASE, (str([*kept]), settle.token))
    for message in plan.occurrences.values():
        _insert_dead(db, message)
    for key, message in plan.succeeded.items():
        give_way(db, key, message)
    db.execute(sql.REMOVE_ALL, (str(plan.deleted),))
    due = [(to_microseconds(at), key) for key, at in plan.released.items()]
    db.executemany(sql.RELEASE, [(due_at, key, due_at) for due_at, key in due])
    db.executemany(sql.RESCHEDULE, [_values(*each) for each in plan.rescheduled.items()])
    buried = plan.buried.items()
    db.executemany(sql.BURY, [(each.reason, each.error_class, now, key) for key, each in buried])
    put_in_line(db, str([*plan.released, *plan.rescheduled]))


def _messages(db: sqlite3.Cursor, now: int, keys: Sequence[Key]) -> dict[Key, Message]:
    """The messages of these keys, without those cancelled meanwhile or unreadable."""
    messages = dict[Key, Message]()
    for key, *record in fetch(db, sql.LOAD, (str(keys),)) if keys else ():
        try:
            messages[key] = from_record(record, State.CLAIMED)
        except NewerRecord:  # a newer version changed it in hand, and can bury it as well
            postpone(db, [key], now)
        except UnreadableRecord:  # since it was claimed
            set_aside(db, key, show(key, record, State.DEAD))
    return messages


def _values(key: Key, reschedule: Reschedule) -> tuple[Any, ...]:
    due_at, counters = to_microseconds(reschedule.next_attempt_at), reschedule.counters
    return (
        due_at,
        due_at,
        to_microseconds(counters.scheduled_at),
        counters.retry_count,
        counters.occurrence_count,
        counters.last_error,
        counters.postpone_count or None,
        1 if counters.put_back else None,
        counters.format,
        key,
    )


def _insert_dead(db: sqlite3.Cursor, message: Message) -> None:
    while db.execute(sql.IS_TAKEN, (message.id,)).fetchone():
        message = with_next_id(message)
    record = to_record(message)
    db.execute(sql.INSERT_DEAD, (record.next_attempt_at, *record))
