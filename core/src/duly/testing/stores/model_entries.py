"""What the model is made of."""

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

import attrs

from duly.message import Message, State, with_changes
from duly.store import SUSPECT_LAPSES, Bury, Counters, Declared, Successor

FRESH: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "state": State.SCHEDULED,
        "retry_count": 0,
        "last_error": None,
        "postpone_count": 0,
        "died_at": None,
        "error_class": None,
        "_put_back": False,
    }
)
"""What a message is to begin with, but for its count of occurrences."""


@attrs.define(eq=False)
class Entry:
    """One scheduling. For messages never moved, ``number`` tells the order of storing."""

    message: Message = attrs.field(repr=lambda message: repr(message.id))
    due: datetime
    number: int
    lapses: int = 0
    moved: bool = False
    aside: bool = False
    successor: Successor | None = None
    declared: Declared | None = None

    @property
    def suspect(self) -> bool:
        return self.lapses >= SUSPECT_LAPSES


@attrs.define(eq=False)
class Lease:
    """One batch: what was claimed, what is left of it, and what was withdrawn."""

    end: datetime
    claimed: Sequence[Entry]
    held: list[Entry]
    owner: str = ""
    withdrawn: list[Entry] = attrs.field(factory=list)


def given(message: Message) -> datetime:
    """The ``created_at`` that a message was given, wherever it was moved since."""
    return message._given_at or message.created_at  # noqa: SLF001  # apart from what stores use


def died(message: Message, bury: Bury, now: datetime) -> Message:
    """A message that is buried."""
    return with_changes(
        message,
        state=State.DEAD,
        last_error=bury.reason,
        error_class=bury.error_class,
        died_at=now,
    )


def remembering(message: Message, counters: Counters) -> Message:
    """A message that is put back with these."""
    return with_changes(
        message,
        state=State.SCHEDULED,
        scheduled_at=counters.scheduled_at,
        retry_count=counters.retry_count,
        occurrence_count=counters.occurrence_count,
        last_error=counters.last_error,
        postpone_count=counters.postpone_count,
        _put_back=counters.put_back,
    )


def in_order(before: Entry, after: Entry) -> bool:
    """Whether a claim may take them in this order."""
    if before.due == after.due and not (before.moved or after.moved):
        return before.number < after.number
    return before.due <= after.due


def check_taken(taken: Sequence[Entry], due: Sequence[Entry], limit: int) -> None:
    """Whether a claim of up to ``limit`` may take these of what is due, in this order.

    Those due at the same moment come in the order they were stored; if one of them was moved to
    that moment later, any order will do.
    """
    assert set(taken) <= set(due), "took what is not due"
    assert taken or not due, "took nothing"
    rest = [entry for entry in due if entry not in taken]
    if any(entry.suspect for entry in taken):
        assert len(taken) == 1, "took a suspect together with others"
    else:
        passed_over = [entry for entry in rest if entry.suspect]
        assert all(in_order(taken[0], each) for each in passed_over), "passed a suspect over"
        rest = [entry for entry in rest if not entry.suspect]
        assert not rest or len(taken) == limit, "took too few"
    for before, after in itertools.pairwise(taken):
        assert in_order(before, after), "took in the wrong order"
    assert all(in_order(taken[-1], each) for each in rest), "took later ones first"
