"""The values that pass between engine and store; imported from :mod:`duly.store`."""

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import attrs

from duly.errors import StoreUnavailable
from duly.message import Message, State

__all__ = [
    "LOOKED_AT",
    "NEWER_PAUSE",
    "PAUSED",
    "SIDINGS",
    "SUSPECT_LAPSES",
    "Batch",
    "Bury",
    "Claim",
    "Clock",
    "Counters",
    "End",
    "Group",
    "HeldUp",
    "Key",
    "PartlyUnavailable",
    "Release",
    "Reschedule",
    "Settle",
    "Settlement",
    "Stats",
    "Token",
    "Whereabouts",
]

Clock = Callable[[], datetime]
"""What a store takes as ``clock``: called for the present moment, aware. None: the server's."""

Key = Hashable
"""A store's own name of one scheduling; opaque to the engine."""

Token = str
"""Proves the claim of a batch; opaque to the engine, never used twice."""

SUSPECT_LAPSES: Final = 2
"""A message that has lapsed this often is a suspect."""

PAUSED: Final = -1
"""In the ``most`` of a claim: nothing of that name is handed out, what recurs included."""

LOOKED_AT: Final = 1000
"""How many messages of the main line one claim looks at."""

SIDINGS: Final = 64
"""From how many sidings one claim takes."""

NEWER_PAUSE: Final = timedelta(minutes=1)
"""For how long a record of a newer format is put back when it comes due."""


@attrs.frozen
class Group:
    """Messages that are stored together or not at all; their ids are distinct.

    ``as_is``, for moving and restoring: they are stored as they are, with their state, counters,
    times and names, but that a CLAIMED one is SCHEDULED.
    """

    messages: Sequence[Message]
    replace: bool = False
    as_is: bool = False


@attrs.frozen(kw_only=True)
class Whereabouts:
    """Where a message is.

    One that waits has its place in line, ``due_at``, and stands ``aside`` if that is in a siding;
    ``lapses`` counts from 0. One that is CLAIMED
    has the ``owner`` of the lease and its end, ``lease_ends_at``, which may be past: it lapses with
    the next claim of anybody. Both are None where a lease is over and its outcome is still to be
    carried out. ``follows`` is the series that takes the place of this one by and by, as it will
    wait for its first fire; None where nothing follows, or the store cannot tell.
    """

    state: State
    due_at: datetime | None = None
    lapses: int = 0
    owner: str | None = None
    lease_ends_at: datetime | None = None
    follows: Message | None = None
    aside: bool = False


class HeldUp(StoreUnavailable):
    """Somebody else's transaction, still open, holds the same message: try again."""


class PartlyUnavailable(StoreUnavailable):
    """One part of the store does not answer, while others do."""


@attrs.frozen(kw_only=True)
class Stats:
    """How much a store holds.

    ``oldest_due`` is the due time of the message that waits longest although it is due, None when
    none does; ``next_due`` the earliest due time still to come. ``aside`` of those ``scheduled``
    stand in sidings; ``oldest_aside`` is the earliest due time of these, of which ``oldest_due``
    says nothing.
    """

    scheduled: int
    claimed: int
    dead: int
    oldest_due: datetime | None = None
    next_due: datetime | None = None
    aside: int = 0
    oldest_aside: datetime | None = None


class Claim:
    """One claimed message: its key, the message (state CLAIMED) and its lapses, from 0."""

    __slots__ = ("key", "lapses", "message")

    def __init__(self, key: Key, message: Message, lapses: int = 0) -> None:
        self.key = key
        self.message = message
        self.lapses = lapses

    def __repr__(self) -> str:
        return f"Claim({self.key!r}, {self.message!r}, lapses={self.lapses})"


@attrs.frozen
class Counters:
    """What a message is to remember when it is put back; all counts start at 0.

    ``scheduled_at`` moves only when a series goes on to another fire. ``put_back`` marks a fire of
    a series with ``jitter`` that was claimed before, and so cannot be missed any more.
    """

    scheduled_at: datetime
    retry_count: int = 0
    occurrence_count: int = 0
    last_error: str | None = None
    postpone_count: int = 0
    put_back: bool = False

    @property
    def format(self) -> int:
        """The record format that a message with these needs at least."""
        return 2 if self.postpone_count or self.put_back else 1


@attrs.frozen
class Reschedule:
    """Settles by putting the message back with these counters, lapses 0: a retry, the next fire."""

    next_attempt_at: datetime
    counters: Counters


@attrs.frozen
class Release:
    """Settles by putting the message back, due at ``at``, nothing counted (lapses are kept).

    Nothing of the message itself changes; ``next_attempt_at`` stays, only a retry moves it.
    """

    at: datetime


@attrs.frozen
class Bury:
    """Settles by making the message a dead letter, with ``reason`` as its ``last_error``.

    Its ``died_at`` is the store's time of it, its ``error_class`` the one that is given here.

    Of a message with a recurrence only this occurrence is buried, as the message of its own that
    :func:`duly.record.occurrence` makes (should its id be taken, by as many ``+`` behind it as
    needed; its delivery id stays); the series is put back as ``next`` says or, without it, ends.
    All in one step.
    """

    reason: str
    next: "Reschedule | End | None" = None
    error_class: str | None = None


@attrs.frozen
class End:
    """Settles a series that has no fire left, of which so many were taken up: it is deleted.

    Told only to a store that is :class:`~duly.store.SupportsEnsure`: what follows takes its place.
    """

    occurrence_count: int


Settlement = Reschedule | Release | Bury | End

_NONE: Final[Mapping[Key, Settlement]] = MappingProxyType({})


@attrs.frozen
class Settle:
    """What becomes of the claims in a lease.

    Those not named in ``exceptions`` were delivered and are deleted. Without ``only`` all that is
    left in the lease is settled and the lease ends. With ``only`` just those keys are settled and
    leave the lease, so that its lapse cannot bring them back; the keys of ``exceptions`` are then
    among them. Keys that are not in the lease (settled before, cancelled, replaced) are ignored.
    """

    token: Token
    exceptions: Mapping[Key, Settlement] = _NONE
    only: Collection[Key] | None = None


@attrs.frozen(kw_only=True)
class Batch:
    """What a claim brought.

    ``token`` is None when ``claims`` is empty. ``now`` is the store's time of the claim.
    ``next_due`` is the earliest moment at which another claim could bring something: the due time
    of what was left, or the end of a lease other than this batch's own; None when there is nothing.
    A store need not notice that a lease has nothing left in it.
    ``more`` tells that something is due already. ``settled`` has one outcome for each of the
    ``settle`` given, as :meth:`~duly.store.Store.settle` has. ``unreadable`` are records that came
    due and could not be read, as :func:`duly.record.unreadable` lists them; they have become dead
    letters. ``newer`` counts records of a newer format, which were put back for
    :data:`NEWER_PAUSE`. ``moved`` messages were moved into sidings by this claim; ``aside`` tells
    whether any siding holds something that the ``most`` of this claim kept back.
    """

    token: Token | None
    claims: Sequence[Claim]
    now: datetime
    next_due: datetime | None = None
    more: bool = False
    settled: Sequence[bool | None] = ()
    unreadable: Sequence[Message] = ()
    newer: int = 0
    moved: int = 0
    aside: bool = False
