"""What a settle does, worked out alike for all stores; imported from :mod:`duly.store`.

As with :mod:`duly._values.put_plans`, nothing here reads or writes.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import attrs

from duly._values.attempts import without_attempt
from duly._values.ensure_plans import still_to_come, succeeded, told_beyond
from duly._values.naming import occurrence
from duly._values.series import Successor
from duly._values.store import Bury, End, Key, Release, Reschedule, Settle, Settlement
from duly.message import Message, State, with_changes

__all__ = ["SettlePlan", "buried_keys", "plan_settle", "put_back"]

_NONE: Final[Mapping[Key, Any]] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class SettlePlan:
    """What :func:`plan_settle` found, by key; a key is in one of the first four at most.

    ``deleted`` were delivered, or are series that end. ``released`` wait again, due at that
    moment; nothing else of them changes. ``rescheduled`` wait again, due at their
    ``next_attempt_at``, with these counters and lapses 0. ``buried`` become dead letters as they
    are, with the reason as ``last_error``, that ``error_class``, and ``died_at`` now.
    ``occurrences``, by the keys of their series, are dead letters
    of their own to be inserted, each under a new key and an id that is free: while it is taken,
    the next is what :func:`duly.record.with_next_id` says.

    ``succeeded`` are series whose successor takes their place: each becomes that message, waits at
    its ``next_attempt_at`` with lapses 0 and nothing behind it, and keeps its key.

    All of ``left`` leave the lease. With ``ends`` the lease ends.
    """

    deleted: Sequence[Key]
    released: Mapping[Key, datetime] = _NONE
    rescheduled: Mapping[Key, Reschedule] = _NONE
    buried: Mapping[Key, Bury] = _NONE
    occurrences: Mapping[Key, Message] = _NONE
    succeeded: Mapping[Key, Message] = _NONE
    left: Sequence[Key]
    ends: bool


def buried_keys(settle: Settle, held: Collection[Key]) -> Sequence[Key]:
    """The keys of the messages to bury, which :func:`plan_settle` needs."""
    return [
        key for key, each in settle.exceptions.items() if isinstance(each, Bury) and key in held
    ]


def plan_settle(
    settle: Settle,
    held: Collection[Key],
    messages: Mapping[Key, Message | None] = _NONE,
    *,
    now: datetime | None = None,
    successors: Mapping[Key, Successor] = _NONE,
) -> SettlePlan:
    """What :meth:`Store.settle` does, given the keys in a lease whose token is valid.

    ``held`` is asked for single keys, so give a dictionary or a set. ``messages`` has those of the
    :func:`buried_keys`: None for one that cannot be read any more, which is buried as it is and
    will be listed so. Of one that is left out nothing becomes but that its key leaves the lease:
    it is gone, or was set aside. ``now`` is the store's time, needed where something is buried.
    ``successors`` has what follows some of the held series; ``messages`` then has these too.
    """
    left = _settled(settle, held)
    ends = settle.only is None
    if not settle.exceptions:
        return SettlePlan(deleted=left, left=left, ends=ends)
    draft = _Draft(messages, successors, now)
    for key in left:
        settlement = settle.exceptions.get(key)
        if key not in successors or not draft.gives_way(key, settlement):
            draft.take(key, settlement)
    return SettlePlan(
        deleted=draft.deleted,
        released=draft.released,
        rescheduled=draft.rescheduled,
        buried=draft.buried,
        occurrences=draft.occurrences,
        succeeded=draft.succeeded,
        left=left,
        ends=ends,
    )


class _Draft:
    """A plan that is being made, key by key."""

    def __init__(
        self,
        messages: Mapping[Key, Message | None],
        successors: Mapping[Key, Successor],
        now: datetime | None,
    ) -> None:
        self._messages = messages
        self._successors = successors
        self._now = now
        self.deleted = list[Key]()
        self.released = dict[Key, datetime]()
        self.rescheduled = dict[Key, Reschedule]()
        self.buried = dict[Key, Bury]()
        self.occurrences = dict[Key, Message]()
        self.succeeded = dict[Key, Message]()

    def gives_way(self, key: Key, settlement: Settlement | None) -> bool:
        """Whether this takes a series beyond the cut of what follows it, which takes its place."""
        message, successor = self._messages.get(key), self._successors[key]
        count = told_beyond(successor, settlement)
        if key not in self._messages:
            return True  # it was set aside
        if message is None or count is None:
            return False
        if (missed := still_to_come(message, successor, settlement)) is not None:
            self.rescheduled[key] = missed
            return True
        follows = succeeded(message, successor, count)
        if follows is None:
            self.deleted.append(key)
        else:
            self.succeeded[key] = follows
        if isinstance(settlement, Bury):
            self._bury_occurrence(key, message, settlement)
        return True

    def take(self, key: Key, settlement: Settlement | None) -> None:
        """One outcome, as it is told."""
        match settlement:
            case None | End():
                self.deleted.append(key)
            case Release(at):
                self.released[key] = at
            case Reschedule():
                self.rescheduled[key] = settlement
            case Bury() if key in self._messages:
                self._bury(key, self._messages[key], settlement)

    def _bury(self, key: Key, message: Message | None, bury: Bury) -> None:
        if message is None or message.recurrence is None:
            self.buried[key] = bury
            return
        self._bury_occurrence(key, message, bury)
        if isinstance(bury.next, Reschedule):
            self.rescheduled[key] = bury.next
        else:
            self.deleted.append(key)

    def _bury_occurrence(self, key: Key, message: Message, bury: Bury) -> None:
        self.occurrences[key] = occurrence(
            message, bury.reason, error_class=bury.error_class, died_at=self._now
        )


def put_back(message: Message, how: Reschedule) -> Message:
    """A message after it was rescheduled: SCHEDULED, with the counters that it is given."""
    counters = how.counters
    last_error, last_attempt = without_attempt(counters.last_error)
    return with_changes(
        message,
        state=State.SCHEDULED,
        scheduled_at=counters.scheduled_at,
        next_attempt_at=how.next_attempt_at,
        retry_count=counters.retry_count,
        occurrence_count=counters.occurrence_count,
        last_error=last_error,
        _last_attempt=last_attempt,
        postpone_count=counters.postpone_count,
        _put_back=counters.put_back,
    )


def _settled(settle: Settle, held: Collection[Key]) -> Sequence[Key]:
    if settle.only is None:
        return [*held]
    return [key for key in dict.fromkeys(settle.only) if key in held]
