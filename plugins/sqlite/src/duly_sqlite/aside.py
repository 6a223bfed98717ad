"""What came due and is no message for this version: set aside, or left for a newer one."""

import sqlite3
from collections.abc import Sequence
from datetime import timedelta

from duly import Message
from duly.record import with_next_id
from duly.store import NEWER_PAUSE
from duly_sqlite import sql
from duly_sqlite.line import put_in_line

__all__ = ["postpone", "set_aside"]


def set_aside(db: sqlite3.Cursor, key: int, shown: Message) -> Message:
    """Make a dead letter of a record that cannot be read; how it is listed from now on."""
    while db.execute(sql.IS_TAKEN_BY_ANOTHER, (shown.id, key)).fetchone():
        shown = with_next_id(shown)
    db.execute(sql.SET_ASIDE, (shown.id, key))
    return shown


def postpone(db: sqlite3.Cursor, keys: Sequence[int], now: int) -> None:
    """Put records of a newer format back, for a reader that knows it."""
    due_at = now + NEWER_PAUSE // timedelta(microseconds=1)
    db.execute(sql.POSTPONE, (due_at, str(keys)))
    put_in_line(db, str(keys))
