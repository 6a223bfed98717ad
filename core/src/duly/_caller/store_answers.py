"""Checks what a store has answered, so that a bug in it makes nothing hang and loses nothing.

Each of these is given an answer of the method of its name and returns it, or raises a StoreError
that names the method and what came back.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NoReturn

from duly._values.answers import is_row, named
from duly.errors import StoreError
from duly.message import Message, State
from duly.store import Batch, Claim, Ensured, Key, Note, Stats, Whereabouts

__all__ = [
    "Outcomes", "cancel", "changed", "claim", "claims", "ensure", "get", "note", "notes", "page",
    "put", "renew", "reschedule", "settle", "stats", "undeclare", "where", "written",
]  # fmt: skip

Outcomes = Sequence[Exception | None]


def put(answer: Outcomes, size: int) -> Outcomes:
    """One outcome for each of ``size`` groups."""
    _row(answer, "put", size)
    for each in answer:
        if each is not None and not isinstance(each, Exception):
            _odd("put", f"{named(each)} for a group, not None or an exception")
    return answer


def cancel(answer: Sequence[State | None], size: int) -> Sequence[State | None]:
    """One state, or None, for each of ``size`` ids."""
    _row(answer, "cancel", size)
    for each in answer:
        _state(each, "cancel")
    return answer


def reschedule(answer: State | None) -> State | None:
    """The state that the message was found in."""
    return _state(answer, "reschedule")


def get(answer: Message | None) -> Message | None:
    """A message."""
    if answer is not None and not isinstance(answer, Message):
        _odd("get", f"{named(answer)}, not a message or None")
    return answer


def page(
    answer: Sequence[Message], from_key: tuple[datetime, str] | None, limit: int | None
) -> Sequence[Message]:
    """A page; a full one that does not pass ``from_key`` would be asked for without end."""
    _row(answer, "list")
    for each in answer:
        if not isinstance(each, Message):
            _odd("list", f"{named(each)} among its messages")
    if from_key is not None and limit is not None and len(answer) >= limit > 0:
        last = answer[-1]
        if (last.scheduled_at, last.id) <= from_key:
            _odd("list", "messages that do not stand behind from_key")
    return answer


def claim(answer: Batch, settles: int) -> Batch:
    """A batch; its claims are checked, by :func:`claims`, only if they could not be used."""
    if not isinstance(answer, Batch):
        _odd("claim", f"{named(answer)}, not a Batch")
    _moment(answer.now, "claim", "now")
    if answer.next_due is not None:
        _moment(answer.next_due, "claim", "next_due")
    for name in ("claims", "settled", "unreadable"):
        value = getattr(answer, name)
        if not is_row(value):
            _odd("claim", f"a Batch whose {name} is {named(value)}, not a sequence")
    if (answer.token is None) != (not answer.claims):
        token = "without a token" if answer.token is None else "with a token"
        _odd("claim", f"a Batch of {len(answer.claims)} messages {token}")
    for each in answer.unreadable:
        if not isinstance(each, Message):
            _odd("claim", f"{named(each)} among its unreadable messages")
    _outcomes(answer.settled, "claim", settles)
    return answer


def claims(answer: Sequence[Claim]) -> None:
    """Check that these are claims; too expensive for every batch."""
    for each in answer:
        if not isinstance(each, Claim):
            _odd("claim", f"{named(each)} among its claims")
        if not isinstance(each.message, Message):
            _odd("claim", f"a claim whose message is {named(each.message)}")
        if not isinstance(each.lapses, int):
            _odd("claim", f"a claim whose lapses are {named(each.lapses)}")


def renew(answer: Sequence[Collection[Key] | None], size: int) -> Sequence[Collection[Key] | None]:
    """What was taken out of each of ``size`` leases, or None."""
    _row(answer, "renew", size)
    for each in answer:
        if each is not None and (not isinstance(each, Collection) or isinstance(each, str | bytes)):
            _odd("renew", f"{named(each)} for a lease, not a collection of keys or None")
    return answer


def settle(answer: Sequence[bool | None], size: int) -> Sequence[bool | None]:
    """True, False or None for each of ``size`` settles."""
    return _outcomes(answer, "settle", size)


def stats(answer: Stats) -> Stats:
    """The numbers."""
    if not isinstance(answer, Stats):
        _odd("stats", f"{named(answer)}, not Stats")
    for name in ("oldest_due", "next_due", "oldest_aside"):
        moment = getattr(answer, name)
        if moment is not None:
            _moment(moment, "stats", name)
    return answer


def where(answer: Whereabouts | None) -> Whereabouts | None:
    """Where a message is."""
    if answer is not None and not isinstance(answer, Whereabouts):
        _odd("where", f"{named(answer)}, not Whereabouts or None")
    return answer


def ensure(answer: Sequence[Ensured | Exception], size: int) -> Sequence[Ensured | Exception]:
    """One outcome for each of ``size`` series."""
    _row(answer, "ensure", size)
    for each in answer:
        if not isinstance(each, Ensured | Exception):
            _odd("ensure", f"{named(each)} for a series, not an Ensured or an exception")
    return answer


def undeclare(answer: Sequence[tuple[str, State]]) -> Sequence[tuple[str, State]]:
    """What was removed, and the state it was found in."""
    _row(answer, "undeclare")
    for each in answer:
        if not isinstance(each, tuple) or len(each) != 2 or not isinstance(each[1], State):
            _odd("undeclare", f"{named(each)} among its answers, not an id and a State")
    return answer


def note(answer: Note | None) -> Note | None:
    """A note."""
    if answer is None:
        return None
    if not isinstance(answer, Note):
        _odd("read_note", f"{named(answer)}, not a Note or None")
    if not isinstance(answer.value, bytes) or not isinstance(answer.revision, str):
        _odd("read_note", "a Note without bytes and a revision")
    _moment(answer.now, "read_note", "now")
    return answer


def written(answer: str | None) -> str | None:
    """The revision of what was written."""
    if answer is not None and not (isinstance(answer, str) and answer):
        _odd("write_note", f"{named(answer)}, not a revision or None")
    return answer


def notes(answer: Mapping[str, Note], prefix: str) -> Mapping[str, Note]:
    """The notes whose names begin with ``prefix``."""
    if not isinstance(answer, Mapping):
        _odd("notes", f"{named(answer)}, not a mapping")
    for name, each in answer.items():
        if not isinstance(name, str) or not name.startswith(prefix):
            _odd("notes", f"a note by the name {named(name)}, which does not begin as asked")
        if note(each) is None:
            _odd("notes", "None in place of a Note")
    return answer


def changed(answer: bool) -> bool:
    """True or False."""
    if not isinstance(answer, int):
        _odd("changed", f"{named(answer)}, not True or False")
    return answer


def _outcomes(answer: Sequence[bool | None], verb: str, size: int) -> Sequence[bool | None]:
    _row(answer, verb, size, "settles")
    for each in answer:
        if each is not None and not isinstance(each, int):  # a driver may have 1 for True
            _odd(verb, f"{named(each)} for a settle, not True, False or None")
    return answer


def _state(answer: State | None, verb: str) -> State | None:
    if answer is not None and not isinstance(answer, State):
        _odd(verb, f"{named(answer)}, not a State or None")
    return answer


def _moment(value: datetime, verb: str, name: str) -> None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        what = "a naive datetime" if isinstance(value, datetime) else named(value)
        _odd(verb, f"{name} as {what}, not an aware datetime")


def _row(answer: Sequence[object], verb: str, size: int | None = None, asked: str = "") -> None:
    if not is_row(answer):
        _odd(verb, f"{named(answer)}, not a sequence")
    if size is not None and len(answer) != size:
        _odd(verb, f"{len(answer)} outcomes for {size} {asked}".rstrip())


def _odd(verb: str, what: str) -> NoReturn:
    raise StoreError(f"the store's {verb}() returned {what}, against its contract")
