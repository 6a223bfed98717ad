"""What a settle does, worked out alike for all stores; imported from :mod:`duly.store`.

As with :mod:`duly._values.put_plans`, nothing here reads or writes.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import attrs

from duly._values.naming import occurrence
from duly._values.store import Bury, Key, Release, Reschedule, Settle
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

    All of ``left`` leave the lease. With ``ends`` the lease ends.
    """

    deleted: Sequence[Key]
    released: Mapping[Key, datetime] = _NONE
    rescheduled: Mapping[Key, Reschedule] = _NONE
    buried: Mapping[Key, Bury] = _NONE
    occurrences: Mapping[Key, Message] = _NONE
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
) -> SettlePlan:
    """What :meth:`Store.settle` does, given the keys in a lease whose token is valid.

    ``held`` is asked for single keys, so give a dictionary or a set. ``messages`` has those of the
    :func:`buried_keys`: None for one that cannot be read any more, which is buried as it is and
    will be listed so. Of one that is left out nothing becomes but that its key leaves the lease:
    it is gone, or was set aside. ``now`` is the store's time, needed where something is buried.
    """
    left = _settled(settle, held)
    ends = settle.only is None
    if not settle.exceptions:
        return SettlePlan(deleted=left, left=left, ends=ends)
    deleted = list[Key]()
    released = dict[Key, datetime]()
    rescheduled = dict[Key, Reschedule]()
    buried = dict[Key, Bury]()
    occurrences = dict[Key, Message]()
    for key in left:
        match settle.exceptions.get(key):
            case None:
                deleted.append(key)
            case Release(at):
                released[key] = at
            case Reschedule() as how:
                rescheduled[key] = how
            case Bury(reason, following, error_class) as how if key in messages:
                message = messages[key]
                if message is None or message.recurrence is None:
                    buried[key] = how
                    continue
                occurrences[key] = occurrence(message, reason, error_class=error_class, died_at=now)
                if following is None:
                    deleted.append(key)
                else:
                    rescheduled[key] = following
    return SettlePlan(
        deleted=deleted,
        released=released,
        rescheduled=rescheduled,
        buried=buried,
        occurrences=occurrences,
        left=left,
        ends=ends,
    )


def put_back(message: Message, how: Reschedule) -> Message:
    """A message after it was rescheduled: SCHEDULED, with the counters that it is given."""
    counters = how.counters
    return with_changes(
        message,
        state=State.SCHEDULED,
        scheduled_at=counters.scheduled_at,
        next_attempt_at=how.next_attempt_at,
        retry_count=counters.retry_count,
        occurrence_count=counters.occurrence_count,
        last_error=counters.last_error,
        postpone_count=counters.postpone_count,
        _put_back=counters.put_back,
    )


def _settled(settle: Settle, held: Collection[Key]) -> Sequence[Key]:
    if settle.only is None:
        return [*held]
    return [key for key in dict.fromkeys(settle.only) if key in held]
