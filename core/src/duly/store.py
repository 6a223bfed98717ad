"""The Store contract: where messages rest until they are due.

A store keeps, finds, claims and settles by *its server's* clock. It never publishes and never
decides. What is written here is the whole contract; ``duly.testing`` holds a store to it.

**States.** A message is SCHEDULED (waiting, due or not), CLAIMED (in a lease, lapsed ones not yet
recovered included) or DEAD (a dead letter). Each scheduling has a *key*, the store's own name of
it, new at each put, replace and :meth:`Store.reschedule`, because an id may be used again while the
old message is still in somebody's hands; settlements keep it.

**Leases.** :meth:`Store.claim` hands out a batch under one token and one lease. A lease that is
not renewed lapses at its end, not a microsecond sooner: from then on the token is void for good,
and the next claim of anybody puts what is left in it, all of it, back at its old place with one
lapse more counted. A lease also ends when it is settled without ``only``; not by having nothing
left in it. A message that was cancelled or replaced
while claimed is gone from the store at once; its key merely stays known to the lease, so that
:meth:`Store.renew` can tell the holder. Whatever the holder then says about that key is ignored.

**Callers' transactions.** A transaction that is open holds up the messages that it has touched and
nothing else, unless it locks the whole store. Claims and settles do not wait for its end: what was
to become of a message that it holds (its outcome, its lapse) is noted, the message stays CLAIMED
under no token, and a claim or settle after that end carries it out. If it was cancelled or replaced
by then that is ignored; after a rollback what was delivered is gone, and nobody gets it again.

**Suspects.** A message that lapsed twice (:data:`SUSPECT_LAPSES`) since it was last delivered,
retried or replayed is a suspect and is claimed alone.

**Moments** are aware datetimes with microseconds; a coarser store rounds the due time up, never
down.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from duly._values.abilities import (
    Answered,
    NamesTransactions,
    OnOneHost,
    SupportsAnyLoop,
    SupportsClaimingAhead,
    SupportsEnsure,
    SupportsHealth,
    SupportsListingWithoutPayloads,
    SupportsMigration,
    SupportsMovingTime,
    SupportsPeeking,
    SupportsTimeLimit,
    SupportsTransactions,
    SupportsWakeups,
    SupportsWhere,
)
from duly._values.ahead import DueCounts, NameStats, Recurring, SupportsForecast, SupportsNames
from duly._values.between import Due, SupportsDueBetween
from duly._values.ensure_plans import EnsurePlan, ensured, succeeded, to_be_moved
from duly._values.lines import NO_LIMITS, Rooms, SupportsLines
from duly._values.notes import MOST_OF_A_NOTE, Note, SupportsNotes, SupportsTakeover
from duly._values.opening_limit import unhurried
from duly._values.overdue import Overdue, OverdueName, SupportsOverdue
from duly._values.put_plans import PutPlan, Stored, as_stored, duplicate, plan_put
from duly._values.series import Declared, Ensured, Successor
from duly._values.settle_plans import SettlePlan, buried_keys, plan_settle, put_back
from duly._values.store import (
    LOOKED_AT,
    NEWER_PAUSE,
    PAUSED,
    SIDINGS,
    SUSPECT_LAPSES,
    Batch,
    Bury,
    Claim,
    Clock,
    Counters,
    End,
    Group,
    HeldUp,
    Key,
    PartlyUnavailable,
    Release,
    Reschedule,
    Settle,
    Settlement,
    Stats,
    Token,
    Whereabouts,
)
from duly.message import Filter, Message, State

__all__ = [
    "LOOKED_AT", "MOST_OF_A_NOTE", "NEWER_PAUSE", "NO_LIMITS", "PAUSED", "SIDINGS",
    "SUSPECT_LAPSES", "Answered", "Batch", "Bury", "Claim", "Clock", "Counters", "Declared",
    "Due", "DueCounts", "End", "EnsurePlan", "Ensured", "Group", "HeldUp", "Key", "NameStats",
    "NamesTransactions", "Note", "OnOneHost", "Overdue", "OverdueName", "PartlyUnavailable",
    "PutPlan", "Recurring", "Release", "Reschedule", "Rooms", "Settle", "SettlePlan", "Settlement",
    "Stats", "Store", "Stored", "Successor", "SupportsAnyLoop", "SupportsClaimingAhead",
    "SupportsDueBetween", "SupportsEnsure", "SupportsForecast", "SupportsHealth", "SupportsLines",
    "SupportsListingWithoutPayloads", "SupportsMigration", "SupportsMovingTime", "SupportsNames",
    "SupportsNotes", "SupportsOverdue", "SupportsPeeking", "SupportsTakeover", "SupportsTimeLimit",
    "SupportsTransactions", "SupportsWakeups", "SupportsWhere", "Token", "Whereabouts",
    "as_stored", "buried_keys", "duplicate", "ensured", "plan_put", "plan_settle", "put_back",
    "succeeded", "to_be_moved", "unhurried",
]  # fmt: skip


class Store(Protocol):
    """Where messages rest.

    Driver errors arrive as :class:`~duly.errors.StoreUnavailable` when trying again may help and
    as :class:`~duly.errors.StoreError` when it does not.

    Any number of calls may be under way at once on one object; a store limits what it sends.
    """

    async def open(self) -> None:
        """Connect, check and, where the store does so by itself, migrate. Again does nothing.

        A migration is :func:`unhurried`.

        Raises:
            StoreUnavailable: nobody answers.
            StoreError: what answers cannot be used; the text says what to do.
        """

    async def close(self) -> None:
        """Give back what :meth:`open` took; a client that was passed in stays open."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        """Store groups of messages, each group whole or not at all, each on its own.

        One outcome for each group: None when it is stored, DuplicateMessage when one of its ids
        is taken by a message stored earlier (whatever its state). Ids are distinct within all
        groups of one call.

        :class:`HeldUp` when somebody else's open transaction stores, moves or removes a message of
        that id, of which nobody knows yet what it will come to: nothing of the group is stored,
        and it is asked for again by itself. Its neighbours do not wait for it.

        An id whose stored message was given the very ``created_at`` of the new one
        (:func:`duly.record.given_at`) is a repeat after a lost answer: it counts as stored and
        nothing of it is changed, the rest of its group is stored. It is one too when the message
        was moved, retried or replaced another since, or is a series that has gone on: it stays
        where it is.

        With ``replace`` what is stored under an id makes way, removed in the same step, and, if it
        is claimed, as by :meth:`cancel`; but a repeat of what is SCHEDULED or CLAIMED is a repeat.
        A replacement whose ``created_at`` is not later than that of what it replaces is stored
        with one microsecond more than that, so that its delivery id is new, and the one that was
        given is kept beside it (:func:`duly.record.renamed`).

        What is stored is SCHEDULED, whatever it was before: counters start at 0, ``last_error``
        at None, the due time is ``next_attempt_at``. With ``within`` all of it happens in the
        caller's own transaction. :func:`plan_put` works all this out.

        Raises:
            StoreUnavailable: nothing is known to be stored.
        """

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        """Remove messages; the state each was found in, None for an unknown id.

        ``ids`` are distinct and may be any text, also such as no message can have.

        SCHEDULED and DEAD ones are removed. A CLAIMED one (lapsed or not) is taken out of the
        store as well, the id is free at once, and whatever its holder settles for it is ignored.
        With ``of_state`` only messages found in that state are touched.
        """

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        """Move a message found in ``of_state`` (SCHEDULED or DEAD); the state it was found in.

        It is SCHEDULED afterwards, ``scheduled_at`` and ``next_attempt_at`` are ``at``,
        ``retry_count`` and lapses 0 and ``last_error`` None; ``occurrence_count`` stays. ``at``
        None keeps ``scheduled_at`` and makes it due then. In any other state nothing is touched.

        A series that moves to another moment than its ``scheduled_at`` is renamed behind itself
        (:func:`duly.record.moved`): it may have fired at that moment already. All others keep
        their delivery id.
        """

    async def get(self, id: str) -> Message | None:
        """The message of that id, with its state; None when there is none.

        A record that cannot be read comes as :meth:`list` shows it.
        """

    async def list(
        self, filter: Filter, *, from_key: tuple[datetime, str] | None = None
    ) -> Sequence[Message]:
        """A list of the messages that match, by ``(scheduled_at, id)``, ids by code point.

        ``from_key`` starts behind that pair, whether or not it still exists. Records that cannot
        be read are listed as :func:`duly.record.unreadable` makes them, sorted by what the store
        knows of their time; a record that is merely newer keeps its state.
        """

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
    ) -> Batch:
        """First the settles, in order, then claim up to ``limit`` messages for ``lease``.

        In one round trip where the server can. Taken are messages whose due time is not after the
        store's now, earliest first, equal ones in the order they were stored, those of lapsed
        leases included at their old place and with a lapse more. When the earliest is a suspect
        the batch is that one alone; otherwise suspects are passed over. ``suspects=False`` leaves
        them out altogether, of ``more`` and ``next_due`` too. ``owner`` names the scheduler and
        stands in the lease for people to read.
        """

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last ``lease`` from now; one answer each.

        None: the lease is lost, or nobody knows, because the part of the store that holds it does
        not answer. Otherwise the keys that were cancelled or replaced since the claim and not
        settled since, which the holder then no longer publishes.
        """

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool | None]:
        """Settle without a claim; one outcome each.

        Each is atomic, but for what a caller's open transaction holds, which is done later. False,
        and nothing touched: the token is no longer valid. What else becomes of what is held
        :func:`plan_settle` works out.

        None: the part of the store that holds it does not answer, and nobody knows; so it is then
        for all that follows of the same token. It is asked for again, in the same order, about a
        second later. When no part answers, StoreUnavailable is raised.
        """

    async def stats(self) -> Stats:
        """How much there is, by counters or indexes; never by reading every message.

        Raises:
            PartlyUnavailable: a part of the store does not answer; to health() it is there.
        """
