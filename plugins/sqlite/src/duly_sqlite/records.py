"""From rows to messages, readable or not.

A row may hold what duly did not write: columns take any type, and text any bytes.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final

from duly import Message, State
from duly.message import UNREADABLE, with_changes
from duly.moment import from_microseconds
from duly.record import NewerRecord, Record, UnreadableRecord, from_record, unreadable
from duly_sqlite.errors import code_of

__all__ = ["fetch", "name_of", "show"]

_NAMES: Final = Record._fields
_ID, _PAYLOAD, _SCHEDULED_AT = (_NAMES.index(name) for name in ("id", "payload", "scheduled_at"))


def fetch(db: sqlite3.Cursor, statement: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """All rows; text that is not UTF-8, which the driver cannot decode, comes as bytes."""
    connection = db.connection
    before = connection.text_factory  # of a caller's connection it may be anything
    connection.text_factory = str
    try:
        return db.execute(statement, parameters).fetchall()
    except sqlite3.OperationalError as error:
        if code_of(error) is not None:  # an error of SQLite; the driver's own has no code
            raise
        connection.text_factory = _text_or_bytes
        return db.execute(statement, parameters).fetchall()
    finally:
        connection.text_factory = before


def show(key: int, record: Sequence[Any], state: State) -> Message:
    """What is listed for a record, whatever is in it."""
    try:
        return from_record(record, state)
    except NewerRecord as error:
        return _unreadable(key, record, str(error), state)
    except UnreadableRecord as error:
        return _unreadable(key, record, str(error), State.DEAD)


def _unreadable(key: int, record: Sequence[Any], reason: str, state: State) -> Message:
    id, payload = record[_ID], record[_PAYLOAD]
    moment = from_microseconds(record[_SCHEDULED_AT])  # a check of the schema ensures this works
    return with_changes(
        unreadable(
            id if type(id) is str else name_of(key),
            payload if type(payload) is bytes else str(payload).encode(),
            reason,
            state=state,
        ),
        scheduled_at=moment,
        next_attempt_at=moment,
    )


def name_of(key: int) -> str:
    """The id under which a message is listed if its own is not text."""
    return f"{UNREADABLE}:{key}"


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data
