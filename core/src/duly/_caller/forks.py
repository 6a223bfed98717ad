"""What was opened before a fork is the parent's: its connections and threads do not work here."""

import os
import weakref
from typing import Final

from duly.errors import SchedulerStateError

__all__ = ["forget", "refuse_parents", "remember"]

_opened: Final[dict[int, tuple["weakref.ref[object]", int]]] = {}  # by id(): equal ones are others


def remember(store: object) -> None:
    """Called when a store was opened in this process."""
    key = id(store)
    try:
        known = weakref.ref(store, lambda _: _opened.pop(key, None))
    except TypeError:  # it takes no weak reference: only its client knows
        return
    _opened[key] = known, os.getpid()


def forget(store: object) -> None:
    """Called when it was closed: what comes next is as new."""
    _opened.pop(id(store), None)


def refuse_parents(store: object, opened_by: int | None) -> None:
    """Check that a store was not opened by a parent process before a fork.

    Raises:
        SchedulerStateError: it was.
    """
    here = os.getpid()
    if opened_by in (None, here):
        known, by = _opened.get(id(store), (None, here))
        if known is None or known() is not store or by == here:
            return
    raise SchedulerStateError(
        "opened before this process was forked off, and its connections are the parent's: open it "
        "after the fork, or make another, store included, in each process"
    )
