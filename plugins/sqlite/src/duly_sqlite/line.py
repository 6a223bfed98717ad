"""The line in which messages wait, by due time; suspects wait in a line of their own."""

import sqlite3

from duly_sqlite import sql

__all__ = ["heads", "put_in_line"]


def heads(db: sqlite3.Cursor) -> tuple[int | None, int | None]:
    """The earliest due times of all that waits: of the ordinary and of the suspects."""
    ordinary, suspect = db.execute(sql.HEADS).fetchone()
    return ordinary, suspect


def put_in_line(db: sqlite3.Cursor, keys: str) -> None:
    """Let the messages of a JSON array of keys that still exist wait at their due times."""
    db.execute(sql.LINE_UP, (keys,))
