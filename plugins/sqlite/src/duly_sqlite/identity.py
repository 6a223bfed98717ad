"""Whether the open files are still those that have these names.

SQLite goes on with the files it has opened even if they were removed or replaced. What it writes
then is seen by nobody who opens them later, and spoils what those write.
"""

import contextlib
import math
import os
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from duly import StoreError

__all__ = ["Files"]

_BESIDE: Final = ("-wal", "-shm")
"""The files that SQLite keeps beside a file in WAL mode as long as anybody has it open."""

_LOG: Final = 1  # the place of the first of these: it takes all writes, so it is checked each time
_EVERY: Final = 0.5  # seconds between two checks of the others


class Files:
    """The file of a store and those beside it, as they were when it was opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._names: Sequence[str] = ()
        self._known: Sequence[tuple[int, int] | None] = ()
        self._look_at = -math.inf  # monotonic time

    def note(self) -> None:
        """Take note of the files that were opened just now."""
        place = os.path.realpath(self._path)  # SQLite follows links before it names the others
        self._names = [str(self._path), *(f"{place}{end}" for end in _BESIDE)]
        self._known = [*map(_identity, self._names)]

    def missing(self, connection: sqlite3.Connection) -> str | None:
        """The sentence about files that were replaced or are gone; None if there are none."""
        found = [*map(_identity, self._names)]
        if found == self._known:
            return None
        both = zip(self._names, self._known, found, strict=True)
        names = [name for name, before, now in both if before != now]
        if str(self._path) not in names:
            # In another mode there are none. The mode changes only while nobody else has it open.
            with contextlib.suppress(sqlite3.Error):  # it may fail for want of these very files
                # A caller's connection may have its own row and text factories.
                ((mode,),) = sqlite3.Cursor(connection).execute("PRAGMA journal_mode")
                if mode not in ("wal", b"wal"):
                    return None
        were = "was" if len(names) == 1 else "were"
        return (
            f"{' and '.join(names)} {were} removed or replaced while the store was "
            "open: nothing is written any more; restart all processes that use the file"
        )

    def see(self, connection: sqlite3.Connection) -> None:
        """Call this before anything is written.

        Raises:
            StoreError: nobody would find what is written now.
        """
        now = time.monotonic()
        if now < self._look_at and _identity(self._names[_LOG]) == self._known[_LOG]:
            return
        missing = self.missing(connection)
        if missing is not None:
            self._look_at = -math.inf
            raise StoreError(f"SQLite file {missing}")
        self._look_at = now + _EVERY


def _identity(name: str) -> tuple[int, int] | None:
    """What identifies a file, to notice a replacement; None when there is no file."""
    try:
        found = os.stat(name)  # noqa: PTH116  # a third of the time, and each transaction asks
    except OSError:
        return None
    return found.st_dev, found.st_ino
