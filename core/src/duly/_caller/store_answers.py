"""Checks what a store has answered, so that a bug in it makes nothing hang and loses nothing.

Each of these is given an answer of the method of its name and returns it, or raises a StoreError
that names the method and what came back.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from duly._caller.answer_checks import moment, odd, row
from duly._values.answers import is_row, named
from duly.message import Message, State
from duly.store import Batch, Claim, Key, Stats

__all__ = [
    "Outcomes", "cancel", "changed", "claim", "claims", "get", "page", "put", "renew",
    "reschedule", "settle", "stats",
]  # fmt: skip

Outcomes = Sequence[Exception | None]


def put(answer: Outcomes, size: int) -> Outcomes:
    """One outcome for each of ``size`` groups."""
    row(answer, "put", size)
    for each in answer:
        if each is not None and not isinstance(each, Exception):
            odd("put", f"{named(each)} for a group, not None or an exception")
    return answer


def cancel(answer: Sequence[State | None], size: int) -> Sequence[State | None]:
    """One state, or None, for each of ``size`` ids."""
    row(answer, "cancel", size)
    for each in answer:
        _state(each, "cancel")
    return answer


def reschedule(answer: State | None) -> State | None:
    """The state that the message was found in."""
    return _state(answer, "reschedule")


def get(answer: Message | None) -> Message | None:
    """A message."""
    if answer is not None and not isinstance(answer, Message):
        odd("get", f"{named(answer)}, not a message or None")
    return answer


def page(
    answer: Sequence[Message], from_key: tuple[datetime, str] | None, limit: int | None
) -> Sequence[Message]:
    """A page; a full one that does not pass ``from_key`` would be asked for without end."""
    row(answer, "list")
    for each in answer:
        if not isinstance(each, Message):
            odd("list", f"{named(each)} among its messages")
    if from_key is not None and limit is not None and len(answer) >= limit > 0:
        last = answer[-1]
        if (last.scheduled_at, last.id) <= from_key:
            odd("list", "messages that do not stand behind from_key")
    return answer


def claim(answer: Batch, settles: int) -> Batch:
    """A batch; its claims are checked, by :func:`claims`, only if they could not be used."""
    if not isinstance(answer, Batch):
        odd("claim", f"{named(answer)}, not a Batch")
    moment(answer.now, "claim", "now")
    if answer.next_due is not None:
        moment(answer.next_due, "claim", "next_due")
    for name in ("claims", "settled", "unreadable"):
        value = getattr(answer, name)
        if not is_row(value):
            odd("claim", f"a Batch whose {name} is {named(value)}, not a sequence")
    if (answer.token is None) != (not answer.claims):
        token = "without a token" if answer.token is None else "with a token"
        odd("claim", f"a Batch of {len(answer.claims)} messages {token}")
    for each in answer.unreadable:
        if not isinstance(each, Message):
            odd("claim", f"{named(each)} among its unreadable messages")
    _outcomes(answer.settled, "claim", settles)
    return answer


def claims(answer: Sequence[Claim]) -> None:
    """Check that these are claims; too expensive for every batch."""
    for each in answer:
        if not isinstance(each, Claim):
            odd("claim", f"{named(each)} among its claims")
        if not isinstance(each.message, Message):
            odd("claim", f"a claim whose message is {named(each.message)}")
        if not isinstance(each.lapses, int):
            odd("claim", f"a claim whose lapses are {named(each.lapses)}")


def renew(answer: Sequence[Collection[Key] | None], size: int) -> Sequence[Collection[Key] | None]:
    """What was taken out of each of ``size`` leases, or None."""
    row(answer, "renew", size)
    for each in answer:
        if each is not None and (not isinstance(each, Collection) or isinstance(each, str | bytes)):
            odd("renew", f"{named(each)} for a lease, not a collection of keys or None")
    return answer


def settle(answer: Sequence[bool | None], size: int) -> Sequence[bool | None]:
    """True, False or None for each of ``size`` settles."""
    return _outcomes(answer, "settle", size)


def stats(answer: Stats) -> Stats:
    """The numbers."""
    if not isinstance(answer, Stats):
        odd("stats", f"{named(answer)}, not Stats")
    for name in ("oldest_due", "next_due", "oldest_aside"):
        value = getattr(answer, name)
        if value is not None:
            moment(value, "stats", name)
    return answer


def changed(answer: bool) -> bool:
    """True or False."""
    if not isinstance(answer, int):
        odd("changed", f"{named(answer)}, not True or False")
    return answer


def _outcomes(answer: Sequence[bool | None], verb: str, size: int) -> Sequence[bool | None]:
    row(answer, verb, size, "settles")
    for each in answer:
        if each is not None and not isinstance(each, int):  # a driver may have 1 for True
            odd(verb, f"{named(each)} for a settle, not True, False or None")
    return answer


def _state(answer: State | None, verb: str) -> State | None:
    if answer is not None and not isinstance(answer, State):
        odd(verb, f"{named(answer)}, not a State or None")
    return answer
