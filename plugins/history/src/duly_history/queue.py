"""The one bounded queue between the hooks and the database, and what it had to drop."""

import threading
from collections import deque
from datetime import datetime
from typing import NamedTuple

from duly_history.rows import Picked
from duly_history.values import What

__all__ = ["Dropped", "Queue", "Told"]


class Told(NamedTuple):
    """What one call of a hook has brought."""

    what: What
    at: datetime
    source: str
    picked: Picked


class Dropped(NamedTuple):
    """So many entries did not fit, the first of them at ``since``, the last at ``until``."""

    since: datetime
    until: datetime
    number: int


class Queue:
    """Holds up to ``most`` entries, those being written included. Any thread may use it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._waiting: deque[Told] = deque()
        self._number = 0
        self._hole: Dropped | None = None

    def __len__(self) -> int:
        """How many entries it holds."""
        return self._number

    def put(self, told: Told) -> bool:
        """Append it; whether it fitted. What does not is counted."""
        number = len(told.picked)
        with self._lock:
            if self._number + number <= self._most:
                self._number += number
                self._waiting.append(told)
                return True
            hole = self._hole or Dropped(told.at, told.at, 0)
            self._hole = Dropped(hole.since, told.at, hole.number + number)
            return False

    def take(self, most: int) -> tuple[list[Told], Dropped | None]:
        """The oldest, some ``most`` entries, and what was dropped since the last call.

        They count until they are :meth:`written`.
        """
        with self._lock:
            taken: list[Told] = []
            number = 0
            while self._waiting and number < most:
                taken.append(self._waiting.popleft())
                number += len(taken[-1].picked)
            hole, self._hole = self._hole, None
            return taken, hole

    def written(self, number: int) -> None:
        """So many entries are in the database, or given up."""
        with self._lock:
            self._number -= number
