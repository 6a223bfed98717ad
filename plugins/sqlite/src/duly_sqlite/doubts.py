"""What is unsafe in the settings of a file, and what an older version has left in it."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from duly.health import Doubt
from duly_sqlite import sql_lines

__all__ = ["doubts"]

_FULL: Final = 2


def doubts(connection: sqlite3.Connection, path: Path) -> Sequence[str]:
    """What is unsafe in a connection's settings or missing in the file, one sentence each."""
    found = []
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        means = (
            f"{path} has journal mode {mode} instead of wal, as on a network filesystem: "
            "schedulers hold each other up, and locks may not hold at all"
        )
        found.append(Doubt(means, thing="journal_mode", found=mode, breaks=True))
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if synchronous < _FULL:
        means = f"{path} is not synchronous: what was accepted may be lost with the power"
        level = str(synchronous)
        found.append(Doubt(means, thing="synchronous", found=level, breaks=True))
    if connection.execute(sql_lines.MARKED).fetchone() is None:
        means = (
            f"{path} was made by an older version, so that an event name with a large backlog may "
            "hold up the others"
        )
        advice = "once no process of that version is left, call `await client.migrate()`"
        found.append(Doubt(means, thing="mark", found="lacks", advice=advice))
    return found
