"""What stands aside, by event name: whose turn it is, and what it gives."""

import sqlite3
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from duly.store import SIDINGS, Rooms
from duly_sqlite import sql_lines

__all__ = ["Sidings", "Turn"]

_NEXT: Final = "\0"  # behind a name this makes the next text that there could be


class Turn:
    """Whose turn it is at the next claim of a store; kept by the store, in its writer's thread."""

    def __init__(self) -> None:
        self.visited = ""
        """The name whose siding was visited last."""
        self._larger = False

    def half(self, limit: int) -> int:
        """Half of a limit; of an odd one now less, now more."""
        self._larger = not self._larger
        return (limit + self._larger) // 2


class Sidings:
    """The sidings as one claim finds them, and leaves them."""

    def __init__(self, db: sqlite3.Cursor, now: int, rooms: Rooms) -> None:
        self._db = db
        self._now = now
        self._rooms = rooms
        self._known: dict[str, bool] = {}
        self.any = db.execute(sql_lines.ANY_ASIDE).fetchone() is not None

    def holds(self, name: str) -> bool:
        """Whether a name has a siding; asked once all that is taken first is taken."""
        if not self.any:
            return False
        if name not in self._known:
            found = self._db.execute(sql_lines.HAS_SIDING, (name,)).fetchone()
            self._known[name] = found is not None
        return self._known[name]

    def add(self, moved: list[tuple[str, int, int]]) -> None:
        """Take in what was moved aside: names, due times and keys."""
        self._db.executemany(sql_lines.MOVE_ASIDE, moved)

    def begins(self, name: str) -> None:
        """A name has a siding from now on."""
        self.any = self._known[name] = True

    def take(self, limit: int, turn: Turn) -> list[int]:
        """Take the first of those that may give some, in turn; their keys."""
        giving = list(islice(self._in_turn(turn.visited), SIDINGS)) if limit and self.any else []
        taken: list[int] = []
        while giving and len(taken) < limit:
            each = max(1, (limit - len(taken)) // len(giving))
            on = []
            for name in giving:
                wanted = min(each, limit - len(taken))
                if not wanted:
                    break
                found = self._take_of(name, wanted)
                taken += found
                turn.visited = name
                if len(found) == wanted and self._rooms.left(name) != 0:
                    on.append(name)
            giving = on
        return taken

    def give(self) -> bool:
        """Whether any may give more."""
        return self.any and next(self._open_from(""), None) is not None

    def kept_back(self) -> bool:
        """Whether any holds something and may give nothing."""
        if not self.any or self._rooms.unlimited:
            return False
        return next(self._walk("", self._rooms.first_closed), None) is not None

    def _take_of(self, name: str, wanted: int) -> list[int]:
        left = self._rooms.left(name)
        number = wanted if left is None else min(wanted, left)
        found = self._db.execute(sql_lines.FIRST_ASIDE, (name, self._now, number)).fetchall()
        if found:
            self._db.execute(sql_lines.LEAVE_SIDING_UP_TO, (name, *found[-1]))
            self._rooms.hand_out(name, len(found))
        return [key for _, key in found]

    def _in_turn(self, visited: str) -> Iterator[str]:
        yield from self._open_from(visited + _NEXT)
        for name in self._open_from(""):
            if name > visited:
                return
            yield name

    def _open_from(self, name: str) -> Iterator[str]:
        """The names that may give some now, from one on."""
        for found, due_at in self._walk(name, self._rooms.first_open):
            if due_at <= self._now:  # later if a clock was put back
                yield found

    def _walk(self, name: str, first: Callable[[str], str | None]) -> Iterator[tuple[str, int]]:
        """The names with sidings at which ``first`` stops, and the first due time of each."""
        at = first(name)
        while at is not None:
            row = self._db.execute(sql_lines.NEXT_SIDING, (at,)).fetchone()
            if row is None:
                return
            found, due_at = row
            at = first(found)
            if at == found:
                yield found, due_at
                at = first(found + _NEXT)
