"""What is unsafe in the settings of a file, and what an older version has left in it."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from duly_sqlite import sql_lines

__all__ = ["doubts"]

_FULL: Final = 2


def doubts(connection: sqlite3.Connection, path: Path) -> Sequence[str]:
    """What is unsafe in a connection's settings or missing in the file, one sentence each."""
    found = []
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        found.append(
            f"{path} has journal mode {mode} instead of wal, as on a network filesystem: "
            "schedulers hold each other up, and locks may not hold at all"
        )
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if synchronous < _FULL:
        found.append(f"{path} is not synchronous: what was accepted may be lost with the power")
    if connection.execute(sql_lines.MARKED).fetchone() is None:
        found.append(
            f"{path} was made by an older version, so that an event name with a large backlog may "
            "hold up the others: once no process of that version is left, call "
            "`await client.migrate()`"
        )
    return found
