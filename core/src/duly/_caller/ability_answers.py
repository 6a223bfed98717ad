"""Checks what a store has answered that is able to do more than its contract asks for.

Each of these is given an answer of the method of its name and returns it, or raises a StoreError
that names the method and what came back.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from duly._caller.answer_checks import moment, odd, row
from duly._values.answers import is_row, named
from duly.message import Message, State
from duly.store import (
    Due,
    DueCounts,
    Ensured,
    NameStats,
    Note,
    Overdue,
    OverdueName,
    Recurring,
    Whereabouts,
)

__all__ = [
    "due_between", "due_counts", "ensure", "lapsed", "names", "note", "notes", "overdue",
    "undeclare", "where", "written",
]  # fmt: skip


def where(answer: Whereabouts | None) -> Whereabouts | None:
    """Where a message is."""
    if answer is not None and not isinstance(answer, Whereabouts):
        odd("where", f"{named(answer)}, not Whereabouts or None")
    return answer


def ensure(answer: Sequence[Ensured | Exception], size: int) -> Sequence[Ensured | Exception]:
    """One outcome for each of ``size`` series."""
    row(answer, "ensure", size)
    for each in answer:
        if not isinstance(each, Ensured | Exception):
            odd("ensure", f"{named(each)} for a series, not an Ensured or an exception")
    return answer


def undeclare(answer: Sequence[tuple[str, State]]) -> Sequence[tuple[str, State]]:
    """What was removed, and the state it was found in."""
    row(answer, "undeclare")
    for each in answer:
        if not isinstance(each, tuple) or len(each) != 2 or not isinstance(each[1], State):
            odd("undeclare", f"{named(each)} among its answers, not an id and a State")
    return answer


def note(answer: Note | None) -> Note | None:
    """What ``read_note`` has found."""
    if answer is not None:
        _note(answer, "read_note")
    return answer


def written(answer: str | None) -> str | None:
    """What ``write_note`` tells: a revision, or None for a note that was another by then."""
    if answer is not None:
        _revision(answer, "write_note")
    return answer


def notes(answer: Mapping[str, Note], prefix: str) -> Mapping[str, Note]:
    """The notes whose names begin with ``prefix``."""
    if not isinstance(answer, Mapping):
        odd("notes", f"{named(answer)}, not a mapping")
    for name, each in answer.items():
        if not isinstance(name, str) or not name.startswith(prefix):
            odd("notes", f"a note by the name {named(name)}, which does not begin as asked")
        _note(each, "notes")
    return answer


def lapsed(answer: int) -> int:
    """How many messages the leases held that ``lapse`` has ended."""
    if isinstance(answer, bool) or not isinstance(answer, int) or answer < 0:
        odd("lapse", f"{named(answer)}, not a number of messages")
    return answer


def due_counts(answer: DueCounts, spans: int) -> DueCounts:
    """What waits, by so many spans."""
    if not isinstance(answer, DueCounts):
        odd("due_counts", f"{named(answer)}, not DueCounts")
    for name in ("in_line", "retries"):
        numbers = getattr(answer, name)
        if not is_row(numbers) or len(numbers) != spans:
            odd("due_counts", f"{name} that are not one number for each of {spans} spans")
    row(answer.series, "due_counts")
    for each in answer.series:
        if not isinstance(each, Recurring) or not isinstance(each.message, Message):
            odd("due_counts", f"{named(each)} among its series")
    return answer


def due_between(
    answer: Sequence[Due], since: datetime, until: datetime, limit: int
) -> Sequence[Due]:
    """What is due then, in order: where the last of them is due it is gone on."""
    row(answer, "due_between")
    if len(answer) > limit:
        odd("due_between", f"{len(answer)} messages where {limit} were asked for")
    last = since
    for each in answer:
        if not isinstance(each, Due) or not isinstance(each.message, Message):
            odd("due_between", f"{named(each)} among what is due")
        moment(each.due_at, "due_between", "due_at")
        if not last <= each.due_at <= until:
            odd("due_between", "what is due at another time, or is out of order")
        last = each.due_at
    return answer


def names(answer: Sequence[NameStats], after: str | None) -> Sequence[NameStats]:
    """Names behind ``after``: others would be asked for without end."""
    row(answer, "names")
    for each in answer:
        if not isinstance(each, NameStats) or not isinstance(each.name, str):
            odd("names", f"{named(each)} among its names")
        if after is not None and each.name <= after:
            odd("names", "names that do not stand behind the one before")
        after = each.name
    return answer


def overdue(answer: Overdue) -> Overdue:
    """Of which names what is due waits."""
    if not isinstance(answer, Overdue):
        odd("overdue", f"{named(answer)}, not Overdue")
    row(answer.names, "overdue")
    for each in answer.names:
        if not isinstance(each, OverdueName) or not isinstance(each.name, str):
            odd("overdue", f"{named(each)} among its names")
        if type(each.in_line) is not int or each.in_line < 1:
            odd("overdue", f"{named(each.in_line)} for how much of a name is due")
        moment(each.oldest, "overdue", "oldest")
    return answer


def _note(answer: Note, verb: str) -> None:
    if not isinstance(answer, Note):
        odd(verb, f"{named(answer)}, not a Note")
    if not isinstance(answer.value, bytes):
        odd(verb, f"a Note whose value is {named(answer.value)}, not bytes")
    _revision(answer.revision, verb)
    moment(answer.now, verb, "now")


def _revision(answer: str, verb: str) -> None:
    if not isinstance(answer, str) or not answer:
        odd(verb, f"{named(answer)} for a revision, which is some text")
