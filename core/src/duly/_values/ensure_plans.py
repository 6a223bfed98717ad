"""Series that keep their place: what becomes of one that is declared again.

What is due or in hand keeps its old rule up to a *cut*. What comes after waits beside it as the
*successor*, whose first fire is worked out already, so that a settlement only compares moments.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

import attrs

from duly._values.series import Ensured, Successor
from duly._values.store import Bury, Counters, End, Reschedule, Settlement
from duly.errors import DuplicateMessage
from duly.message import UNTOUCHED, Message, State, with_changes
from duly.recurrence import Every, Recurrence

__all__ = [
    "EnsurePlan",
    "ensured",
    "first_of_series",
    "still_to_come",
    "succeeded",
    "to_be_moved",
    "told_beyond",
]


_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_MICROSECOND: Final = timedelta(microseconds=1)


@attrs.frozen(kw_only=True)
class EnsurePlan:
    """What :func:`ensured` found: what the store writes, and its answer.

    ``stored`` is the message to insert, or what the one that is there becomes; None: nothing of it
    is written. Where it ``moves`` it gets a new place in line, at its ``next_attempt_at``, with
    lapses 0; otherwise its place, its lapses and the lease that it may be in stay. ``removes``: the
    message that is there goes. ``successor`` is what follows from now on, None for nothing; it is
    to be written where anything is.
    """

    outcome: Ensured | DuplicateMessage
    stored: Message | None = None
    moves: bool = False
    removes: bool = False
    successor: Successor | None = None

    @property
    def writes(self) -> bool:
        """Whether there is anything to write."""
        return self.stored is not None or self.removes or self.successor is not None


def ensured(
    stored: Message | None, successor: Successor | None, wanted: Message, now: datetime
) -> EnsurePlan:
    """What to do about ``wanted``, given what is stored under its id and what follows that.

    ``now`` is the store's time, read when nobody else can change the message any more.
    """
    rule = wanted.recurrence
    if rule is None:
        raise TypeError("ensured() is asked about series alone")
    if stored is None:
        first = first_of_series(wanted, now)
        if first is None:
            return EnsurePlan(outcome=Ensured.ENDED)
        return EnsurePlan(outcome=Ensured.STORED, stored=first, moves=True)
    if stored.state is State.DEAD or stored.recurrence is None:
        return EnsurePlan(
            outcome=DuplicateMessage(
                f"a message with the id {wanted.id!r} is stored already, and is no series"
            )
        )
    waits = stored.state is State.SCHEDULED
    if successor is not None and waits and stored.scheduled_at > successor.cut:
        # One that knows nothing of successors has settled it: it is over all the same.
        follows = succeeded(stored, successor, stored.occurrence_count)
        if follows is None:
            plan = ensured(None, None, wanted, now)
            return attrs.evolve(plan, removes=plan.stored is None)
        plan = ensured(follows, None, wanted, now)
        # Whatever becomes of what follows, its place in line is no longer that of the old fire.
        return (
            plan if plan.removes else attrs.evolve(plan, stored=plan.stored or follows, moves=True)
        )
    return _Meeting(stored, stored.recurrence, successor, wanted, rule, now).plan()


@attrs.frozen
class _Meeting:
    """A series that is stored, with its rule, and one that is wanted in its place, with its own."""

    stored: Message
    old: Recurrence
    successor: Successor | None
    wanted: Message
    new: Recurrence
    now: datetime

    def plan(self) -> EnsurePlan:
        stored, wanted = self.stored, self.wanted
        if _definition(wanted) == _definition(self.successor or stored):
            return EnsurePlan(outcome=Ensured.SAME)
        waiting = stored.state is State.SCHEDULED and stored.scheduled_at > self.now
        if waiting and self.successor is None:
            return self._in_place()
        row = stored
        if own := wanted.event_name == stored.event_name:
            row = with_changes(stored, payload=wanted.payload, metadata=wanted.metadata)
        if own and self.new == self.old:
            return EnsurePlan(outcome=Ensured.CHANGED, stored=row)
        follows = self._following()
        outcome = Ensured.ENDED if follows.at is None else Ensured.FOLLOWS
        return EnsurePlan(outcome=outcome, stored=row, successor=follows)

    def _in_place(self) -> EnsurePlan:
        """What becomes of a series of which nothing is due or in hand."""
        stored, rule = self.stored, self.new
        fire: datetime | None = stored.scheduled_at
        if not rule.is_same_rule(self.old):
            fire = rule.begins_after(self.now)
            if fire is not None and _counts_from_now(rule) and _counts_from_now(self.old):
                # Or two versions in turn would push it away for ever.
                fire = min(fire, stored.scheduled_at)
        if fire is None or (rule.until is not None and fire > rule.until):
            return EnsurePlan(outcome=Ensured.ENDED, removes=True)
        row = _redefined(stored, self.wanted, rule)
        if fire == stored.scheduled_at and rule.jitter == self.old.jitter:
            return EnsurePlan(outcome=Ensured.CHANGED, stored=row)
        moved = _at(row, rule, fire, stored.occurrence_count)
        return EnsurePlan(outcome=Ensured.CHANGED, stored=moved, moves=True)

    def _following(self) -> Successor:
        stored, before, wanted = self.stored, self.successor, self.wanted
        cut = max(self.now, stored.scheduled_at) if before is None else before.cut
        if before is not None and before.at is not None and before.at <= self.now:
            at: datetime | None = before.at  # it is due, and passes on to what comes instead
        elif self.new.is_same_rule(self.old):
            at = self.new.goes_on_after(stored.scheduled_at, max(cut, self.now))
        else:
            at = self.new.begins_after(max(cut, self.now))
            former = None if before is None else before.at
            if at is not None and former is not None and _counts_from_now(self.new):
                at = min(at, former)  # or versions that follow in turn would push it away
        return Successor(
            cut=cut,
            at=at,
            event_name=wanted.event_name,
            payload=wanted.payload,
            metadata=wanted.metadata,
            recurrence=self.new,
        )


def _definition(of: Message | Successor) -> tuple[Any, ...]:
    return of.event_name, of.payload, dict(of.metadata), of.recurrence


def _counts_from_now(rule: Recurrence) -> bool:
    return isinstance(rule, Every) and rule.anchor is None


def _redefined(message: Message, by: Message | Successor, rule: Recurrence) -> Message:
    return with_changes(
        message,
        event_name=by.event_name,
        payload=by.payload,
        metadata=by.metadata,
        recurrence=rule,
    )


def first_of_series(wanted: Message, now: datetime) -> Message | None:
    """A series as it is stored for the first time, created ``now``; None: it has no fire."""
    rule = wanted.recurrence
    fire = None if rule is None else rule.begins_after(now)
    if rule is None or fire is None:
        return None
    fresh = with_changes(
        wanted, created_at=now, _given_at=None, _delivery_id=None, trace_context=_NOTHING
    )
    return _at(fresh, rule, fire, 0)


def succeeded(message: Message, successor: Successor, occurrence_count: int) -> Message | None:
    """What a series becomes whose successor takes its place; None: nothing follows."""
    if successor.at is None:
        return None
    row = _redefined(message, successor, successor.recurrence)
    return _at(row, successor.recurrence, successor.at, occurrence_count)


def to_be_moved(message: Message, successor: Successor | None) -> Message:
    """What is moved when a caller moves a series: what follows it takes its place first.

    Where nothing follows, its last fire is moved, and by its newest rule it ends with that.
    """
    if successor is None:
        return message
    follows = succeeded(message, successor, message.occurrence_count)
    return follows or _redefined(message, successor, successor.recurrence)


def _at(message: Message, rule: Recurrence, fire: datetime, occurrence_count: int) -> Message:
    return with_changes(
        message,
        **{**UNTOUCHED, "occurrence_count": occurrence_count},
        scheduled_at=fire,
        next_attempt_at=rule.due(message.id, fire),
    )


def still_to_come(
    message: Message, successor: Successor, settlement: Settlement | None
) -> Reschedule | None:
    """The latest fire up to the cut that was missed, where ``missed="once"`` has it delivered.

    A holder that finds fires missed, and knows of no cut, tells the latest of all of them: that may
    be one beyond the cut, which nobody wants any more. None: there is no such fire.
    """
    rule = message.recurrence
    if rule is None or rule.missed != "once" or not isinstance(settlement, Reschedule):
        return None
    told = settlement.counters
    if told.scheduled_at <= successor.cut or told.occurrence_count != message.occurrence_count:
        return None
    fire = rule.latest(message.scheduled_at, successor.cut)
    counters = Counters(fire, occurrence_count=message.occurrence_count, put_back=bool(rule.jitter))
    return Reschedule(fire + _MICROSECOND, counters)  # no moment of its own: it is not missed again


def told_beyond(successor: Successor, settlement: Settlement | None) -> int | None:
    """The count with which a settlement takes a series beyond the cut of its successor, if it does.

    A series that is deleted without a count has ended for good: it was settled by a version that
    knows nothing of what follows, or cancelled.
    """
    told = settlement.next if isinstance(settlement, Bury) else settlement
    match told:
        case End(occurrence_count):
            return occurrence_count
        case Reschedule(counters=counters) if counters.scheduled_at > successor.cut:
            return counters.occurrence_count
    return None
