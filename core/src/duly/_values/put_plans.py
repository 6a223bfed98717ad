"""What a put does, worked out alike for all stores; imported from :mod:`duly.store`.

A store looks up what is there, asks for the plan and carries it out, all in one step of its
database. Nothing here reads or writes. If the database decides by itself, in SQL or in a script,
it must decide as these functions do.
"""

from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import attrs

from duly._values.naming import given_at, renamed
from duly._values.store import Group
from duly.errors import DuplicateMessage
from duly.message import UNTOUCHED, Message, State, with_changes
from duly.moment import FIRST, LAST, from_microseconds

__all__ = ["PutPlan", "Stored", "as_stored", "duplicate", "plan_put"]


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
                inserts.append(_stored(message, group))
            elif group.replace and not (
                _is_repeat(message, found) and found.state is not State.DEAD
            ):
                replaced[message.id] = found
                new = message if group.as_is else _renamed(message, found.created_at)
                inserts.append(_stored(new, group))
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


def _stored(message: Message, group: Group) -> Message:
    if not group.as_is:
        return as_stored(message)
    claimed = message.state is State.CLAIMED
    return with_changes(message, state=State.SCHEDULED) if claimed else message


def duplicate(id: str) -> DuplicateMessage:
    """The outcome of a group of which an id is taken."""
    return DuplicateMessage(f"a message with the id {id!r} is stored already")


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
