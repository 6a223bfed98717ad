"""What a history tells."""

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs

__all__ = [
    "Cause", "Causes", "ChangeMade", "Changes", "Entries", "Entry", "EventFigures", "Figures",
    "Hole", "Lateness", "Minute", "Rates", "What",
]  # fmt: skip


class What(enum.StrEnum):
    """What became of a message."""

    SCHEDULED = "scheduled"
    ENSURED = "ensured"
    RESCHEDULED = "rescheduled"
    FAILED = "failed"
    DELIVERED = "delivered"
    BURIED = "buried"
    MISSED = "missed"
    CANCELLED = "cancelled"
    REPLAYED = "replayed"
    PURGED = "purged"


@attrs.frozen(kw_only=True)
class Entry:
    """One thing that happened to one message.

    ``at`` is by the clock of the process that saw it, ``source``: a scheduler as
    ``host:pid:...``, a client as ``host:pid``. ``event_name`` is None where that was not known.
    ``attempt`` counts from 1. ``due_at`` is when the message was due, or what it was scheduled
    for; ``next_at`` when it is tried again. ``lateness`` is of a delivery, ``receipt`` the
    broker's. ``detail`` says more, as "retry" or "3 fires".
    """

    at: datetime
    message_id: str
    event_name: str | None
    what: What
    attempt: int | None = None
    due_at: datetime | None = None
    next_at: datetime | None = None
    lateness: timedelta | None = None
    error_class: str | None = None
    error: str | None = None
    receipt: str | None = None
    detail: str | None = None
    source: str


@attrs.frozen(kw_only=True)
class Hole:
    """What is not known: something happened between these moments and was not kept.

    ``number`` entries are missing; None: nobody can tell how many, if any, as of a process that
    was killed. ``source`` is the process that saw them.
    """

    from_at: datetime
    to_at: datetime
    number: int | None
    source: str
    reason: str


@attrs.frozen(kw_only=True)
class Entries:
    """What was found; ``looked_at`` rows were looked at; unless ``complete`` there are more.

    ``holes`` lie in the time that was asked for.
    """

    entries: Sequence[Entry]
    looked_at: int
    complete: bool
    holes: Sequence[Hole] = ()


@attrs.frozen(kw_only=True)
class Figures:
    """How much happened."""

    delivered: int = 0
    failed: int = 0
    buried: int = 0


@attrs.frozen(kw_only=True)
class Minute(Figures):
    """The same in the minute that begins ``at``."""

    at: datetime


@attrs.frozen(kw_only=True)
class Rates(Figures):
    """How much happened from ``since`` to ``until``, and in each minute with anything in it."""

    since: datetime
    until: datetime
    minutes: Sequence[Minute]
    looked_at: int
    complete: bool
    holes: Sequence[Hole] = ()

    @property
    def per_minute(self) -> float:
        """Deliveries a minute, over all that time."""
        return self.delivered / max((self.until - self.since).total_seconds() / 60, 1.0)


@attrs.frozen(kw_only=True)
class Lateness:
    """How late deliveries were, in seconds, to the accuracy of a dozen classes.

    ``buckets`` counts them by the upper bound of each class. ``p50`` and ``p99`` are None where
    nothing was delivered.
    """

    count: int
    p50: float | None
    p99: float | None
    buckets: Mapping[float, int]
    looked_at: int
    complete: bool
    holes: Sequence[Hole] = ()


@attrs.frozen(kw_only=True)
class EventFigures(Figures):
    """What happened under one event name; ``per_minute`` counts deliveries."""

    event_name: str
    per_minute: float
    p50: float | None
    p99: float | None


@attrs.frozen(kw_only=True)
class Cause:
    """Failures that are alike: of one class, with one text but for ids, numbers, quoted parts.

    ``number`` counts failed attempts and burials, of ``event_names`` (at most 20 are told);
    ``example`` is the id of the latest message; ``buried`` of them were given up.
    """

    error_class: str | None
    text: str
    number: int
    buried: int
    event_names: Sequence[str]
    example: str
    first: datetime
    last: datetime


@attrs.frozen(kw_only=True)
class Causes:
    """Why messages failed, the most frequent cause first."""

    causes: Sequence[Cause]
    looked_at: int
    complete: bool
    holes: Sequence[Hole] = ()


@attrs.frozen(kw_only=True)
class ChangeMade:
    """What somebody did: written down before it was done.

    ``target`` is what it is about: an id, an event name or prefix, an instance; ``filter`` which
    messages, by the names of the fields of :class:`duly.Filter`. ``number`` messages were changed.
    Where ``ended_at`` is None nobody knows how it ended: it may be under way, or the process was
    killed. ``error`` is why it failed.
    """

    id: str
    at: datetime
    action: str
    target: str
    filter: Mapping[str, Any] | None
    details: Mapping[str, Any]
    by: str
    reason: str
    source: str
    number: int | None
    outcome: str | None
    error: str | None
    ended_at: datetime | None


@attrs.frozen(kw_only=True)
class Changes:
    """What people did, the latest first."""

    changes: Sequence[ChangeMade]
    looked_at: int
    complete: bool
