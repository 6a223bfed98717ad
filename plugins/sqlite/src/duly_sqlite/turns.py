"""Who writes next: the stores of one process on one file take turns, first come first served.

SQLite wakes nobody who waits for its lock: each tries again now and then, so that with many waiters
one may find it taken each time. Within a process they can wait for each other instead.
"""

import contextlib
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Iterator
from typing import Final

from duly import StoreUnavailable
from duly_sqlite.connection import PATIENCE, Call

__all__ = ["Turns", "turns_on"]

_LOOK: Final = 0.05  # seconds after which a waiting thread checks whether its caller still waits


class Turns:
    """One at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()
        self._passed_at = time.monotonic()

    @contextlib.contextmanager
    def taken(self, call: Call) -> Iterator[None]:
        """The block runs when its turn has come; the turn ends with the block.

        Raises:
            StoreUnavailable: the caller has gone meanwhile, or nobody made way for too long.
        """
        self._take(call)
        try:
            yield
        finally:
            with self._lock:
                self._pass_on()

    def _take(self, call: Call) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        since = time.monotonic()
        while not mine.wait(_LOOK):
            too_long = time.monotonic() > max(since, self._passed_at) + PATIENCE
            if call.abandoned or too_long:
                self._leave(mine)
                raise StoreUnavailable(
                    "other stores of this process keep the file busy"
                    if too_long
                    else "given up by the caller"
                )

    def _leave(self, mine: threading.Event) -> None:
        with self._lock:
            if mine.is_set():  # the turn has just come
                self._pass_on()
            else:
                self._waiting.remove(mine)

    def _pass_on(self) -> None:
        self._passed_at = time.monotonic()
        if self._waiting:
            self._waiting.popleft().set()
        else:
            self._taken = False


_known: weakref.WeakValueDictionary[str, Turns] = weakref.WeakValueDictionary()
_looking = threading.Lock()


def turns_on(path: str) -> Turns:
    """The turns on a file, which all stores of this process share."""
    with _looking:
        return _known.setdefault(path, Turns())


def _forget() -> None:
    """In a forked process nobody has a turn: the threads do not exist there."""
    global _looking  # noqa: PLW0603  # it may have been held by one of them
    _looking = threading.Lock()
    _known.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
