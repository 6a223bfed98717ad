"""What is unsafe in the settings of a file."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

__all__ = ["doubts"]

_FULL: Final = 2


def doubts(connection: sqlite3.Connection, path: Path) -> Sequence[str]:
    """What is unsafe in a connection's settings, one sentence each."""
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
    return found
