"""What a claim takes of the lines when names are limited, or some stand aside."""

import sqlite3
from collections.abc import Iterator
from typing import Any, Final

from duly.store import LOOKED_AT, SUSPECT_LAPSES, Rooms
from duly_sqlite import sql, sql_lines
from duly_sqlite.records import fetch
from duly_sqlite.sidings import Sidings, Turn

__all__ = ["Lines"]

_LAST: Final = 2**63 - 1
_PAGE: Final = 100  # rows read at once, at least

Row = tuple[Any, ...]
"""Due time, key, event name, whether it recurs; of a damaged one the name may be anything."""


class Lines:
    """The main line and the sidings, as one claim finds them."""

    def __init__(self, db: sqlite3.Cursor, now: int, rooms: Rooms) -> None:
        self._db = db
        self._now = now
        self._rooms = rooms
        self.sidings = Sidings(db, now, rooms)
        self.plain = rooms.unlimited and not self.sidings.any
        """Whether nothing is asked for but what is due."""
        self._moves = not self.plain and db.execute(sql_lines.MARKED).fetchone() is not None

    def first_suspect(self) -> Row | None:
        """The first suspect that is not passed over, due or not."""
        for row in self._met(1, _LAST, _PAGE):
            if not (self._moves and isinstance(row[2], str) and self._rooms.passes_over(row[2])):
                return row
        return None

    def take(self, limit: int, turn: Turn, *, suspects: bool) -> tuple[list[int], int]:
        """Take what comes first out of the lines; the keys, and how many were moved aside."""
        suspect = self.first_suspect() if suspects else None
        if suspect is not None and suspect[0] <= self._now:
            ordinary = self._db.execute(sql.FIRST_DUE, (0, self._now)).fetchone()
            due_at, key, name, _ = suspect
            if ordinary is None or (due_at, key) < ordinary:
                self._db.execute(sql.LEAVE_LINE, (SUSPECT_LAPSES, due_at, key))
                self._hand_out(name)
                return [key], 0
        taken = self.sidings.take(turn.half(limit), turn)
        met, moved = self._look_past(limit - len(taken))
        taken += met
        taken += self.sidings.take(limit - len(taken), turn)
        return taken, moved

    def _look_past(self, limit: int) -> tuple[list[int], int]:
        """Take so many of the main line, and move aside what is met and must wait."""
        taken: list[int] = []
        moved: list[tuple[str, int, int]] = []
        last = None
        met = self._met(0, self._now, max(limit, _PAGE))
        for looked, (due_at, key, name, recurs) in enumerate(met):
            if looked == LOOKED_AT or len(taken) == limit:
                break
            last = due_at, key
            if self._waits(name, recurs=bool(recurs)):
                self.sidings.begins(name)
                moved.append((name, due_at, key))
            else:
                taken.append(key)
                self._hand_out(name)
        else:
            last = self._now, _LAST  # also entries whose message somebody has removed
        if last is not None:
            self._db.execute(sql.LEAVE_LINE_UP_TO, (0, *last))
        if moved:
            self.sidings.add(moved)
        return taken, len(moved)

    def _waits(self, name: object, *, recurs: bool) -> bool:
        if not self._moves or not isinstance(name, str):  # it cannot be read, and is set aside
            return False
        full = self._rooms.left(name) == 0 or self.sidings.holds(name)
        return full and self._rooms.may_wait(name, recurs=recurs)

    def _hand_out(self, name: object) -> None:
        if isinstance(name, str):
            self._rooms.hand_out(name)

    def _met(self, suspect: int, until: int, page: int) -> Iterator[Row]:
        """What stands in the main line, a page at a time; nothing may be taken meanwhile."""
        behind = -_LAST, 0
        while True:
            rows = fetch(self._db, sql_lines.MET, (suspect, until, *behind, page))
            yield from rows
            if len(rows) < page:
                return
            behind = rows[-1][:2]
