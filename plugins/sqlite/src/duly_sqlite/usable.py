"""Whether this code may go on: another process may have made the schema too new for it."""

import math
import sqlite3
import time
from pathlib import Path
from typing import Final

from duly_sqlite import sql_schema
from duly_sqlite.schema import VERSION, newer

__all__ = ["Usable"]

_EVERY: Final = 30.0  # seconds between two looks


class Usable:
    """Asked before claims and the verbs of callers; it looks now and then.

    Settling and renewing go on, so that what was published is not published twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._look_at = -math.inf  # monotonic time

    def see(self, db: sqlite3.Cursor) -> None:
        """Look, if it is time.

        Raises:
            StoreError: the schema is usable from a later version on.
        """
        if time.monotonic() < self._look_at:
            return
        _, usable_from = db.execute(sql_schema.VERSIONS).fetchone()
        if isinstance(usable_from, int) and usable_from > VERSION:
            raise newer(self._path, usable_from)  # looked at each time from now on
        self._look_at = time.monotonic() + _EVERY
