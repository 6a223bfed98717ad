"""What a put and a settle do, worked out alike for all stores; imported from :mod:`duly.store`.

A store looks up what is there, asks for the plan and carries it out, all in one step of its
database. Nothing here reads or writes. If the database decides by itself, in SQL or in a script,
it must decide as these functions do.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

import attrs

from duly._values.naming import given_at, occurrence, renamed
from duly._values.store import Bury, Group, Key, Release, Reschedule, Settle
from duly.errors import DuplicateMessage
from duly.message import UNTOUCHED, Message, State, with_changes
from duly.moment import FIRST, LAST, from_microseconds

__all__ = [
    "PutPlan",
    "SettlePlan",
    "Stored",
    "as_stored",
    "buried_keys",
    "duplicate",
    "plan_put",
    "plan_settle",
    "put_back",
]

_NONE: Final[Mapping[Key, Any]] = MappingProxyType({})


class Stored(Protocol):
    """What :func:`plan_put` asks of a stored message: a row, a document, an object of yours.

    ``created_at`` and ``given_at`` are those of its record, microseconds since 1970 UTC;
    ``given_at`` is None if it does not differ. Of a damaged record both may be anything.
    """

    @property
    def state(self) -> State:
        """The state it is in; that of a record that cannot be read is DEAD."""

    @property
    def created_at(self) -> int | None:
        """See :class:`duly.record.Record`."""

    @property
    def given_at(self) -> int | None:
        """See :class:`duly.record.Record`."""


S = TypeVar("S", bound=Stored)


@attrs.frozen(kw_only=True)
class PutPlan(Generic[S]):
    """What :func:`plan_put` found: what the store removes, then what it inserts, and its answer.

    ``outcomes`` has one for each group. ``replaced`` has what makes way, by id. ``inserts`` are
    the messages to store, in the order given, under the names and with the counters they are
    stored with; each gets a new key and, unless it is DEAD, its place in line at its
    ``next_attempt_at``.
    """

    outcomes: Sequence[DuplicateMessage | None]
    replaced: Mapping[str, S]
    inserts: Sequence[Message]

    @property
    def withdrawn(self) -> Sequence[S]:
        """The replaced ones that are CLAIMED: their leases remember the keys for ``renew``."""
        return [each for each in self.replaced.values() if each.state is State.CLAIMED]


def plan_put(groups: Sequence[Group], stored: Mapping[str, S]) -> PutPlan[S]:
    """What :meth:`Store.put` does with groups, given what is stored under their ids.

    ``stored`` has each of their ids that is taken; it may have others.
    """
    outcomes = list[DuplicateMessage | None]()
    replaced = dict[str, S]()
    inserts = list[Message]()
    for group in groups:
        refusal = None if group.replace else _refusal(group, stored)
        outcomes.append(refusal)
        if refusal is not None:
            continue
        for message in group.messages:
            found = stored.get(message.id)
            if found is None:
                inserts.append(_as_is(message) if group.as_is else as_stored(message))
            elif group.replace and not (
                _is_repeat(message, found) and found.state is not State.DEAD
            ):
                replaced[message.id] = found
                inserts.append(
                    _as_is(message)
                    if group.as_is
                    else as_stored(_renamed(message, found.created_at))
                )
    return PutPlan(outcomes=outcomes, replaced=replaced, inserts=inserts)


def as_stored(message: Message) -> Message:
    """The message as a put stores it: SCHEDULED, counters at 0, everything else as it is.

    A message that was in a store before may have other counters.
    """
    if (
        message.state is State.SCHEDULED
        and not message.retry_count
        and not message.occurrence_count
        and message.last_error is None
        and not message.postpone_count
        and not message._put_back  # noqa: SLF001  # as all that duly manages
    ):
        return message
    return with_changes(message, **UNTOUCHED)


def _as_is(message: Message) -> Message:
    if message.state is not State.CLAIMED:
        return message
    return with_changes(message, state=State.SCHEDULED)


def duplicate(id: str) -> DuplicateMessage:
    """The outcome of a group of which an id is taken."""
    return DuplicateMessage(f"a message with the id {id!r} is stored already")


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


def _refusal(group: Group, stored: Mapping[str, Stored]) -> DuplicateMessage | None:
    for message in group.messages:
        found = stored.get(message.id)
        if found is not None and not _is_repeat(message, found):
            return duplicate(message.id)
    return None


def _is_repeat(message: Message, found: Stored) -> bool:
    given = found.created_at if found.given_at is None else found.given_at
    return given == given_at(message)


def _renamed(message: Message, behind: object) -> Message:
    if isinstance(behind, int) and FIRST <= behind <= LAST:
        return renamed(message, from_microseconds(behind))
    return message  # what it replaces is damaged


def _settled(settle: Settle, held: Collection[Key]) -> Sequence[Key]:
    if settle.only is None:
        return [*held]
    return [key for key in dict.fromkeys(settle.only) if key in held]
