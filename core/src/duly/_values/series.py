"""What is said of series that are declared; to be imported from :mod:`duly.store`."""

import enum
from collections.abc import Mapping
from datetime import datetime

import attrs

from duly.recurrence import Recurrence

__all__ = ["Declared", "Ensured", "Successor"]


class Ensured(enum.Enum):
    """What ``ensure`` found or did.

    STORED: there was none. SAME: it is there as it was asked for; nothing was written. CHANGED: it
    was changed in place. FOLLOWS: what is due or in hand keeps its rule, and the new one follows.
    ENDED: it has no fire any more, by its ``until``. NEWER: only a newer version of duly can read
    what is there, which was left alone. OLDER: a newer generation has been declared.
    """

    STORED = "stored"
    SAME = "same"
    CHANGED = "changed"
    FOLLOWS = "follows"
    ENDED = "ended"
    NEWER = "newer"
    OLDER = "older"


@attrs.frozen
class Declared:
    """Who declares a set of series, and with which generation of it."""

    by: str
    generation: int


@attrs.frozen(kw_only=True)
class Successor:
    """What follows a series: from ``cut`` on it is another, which fires first ``at``.

    ``at`` None: nothing follows, the series ends there.
    """

    cut: datetime
    at: datetime | None
    event_name: str
    payload: bytes
    metadata: Mapping[str, str]
    recurrence: Recurrence
