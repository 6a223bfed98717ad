"""Checks what a transport has answered: what is no receipt must not count as delivered."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Final, TypeGuard

from duly._values.error_text import error_text
from duly._values.publishing import as_error
from duly.errors import TransportError

__all__ = ["Outcome", "is_row", "named", "outcomes_of", "reasons_of", "receipt_of"]

Outcome = tuple[str | None, Exception | None]
"""A receipt or None, and what failed; never both."""

_MOST_SHOWN: Final = 200  # characters of a text that should have been a list


def receipt_of(answer: object) -> Outcome:
    """What the answer of ``publish`` says; anything but text or None is a failed attempt."""
    if answer is None or isinstance(answer, str):
        return answer, None
    return None, TransportError(f"publish() returned {named(answer)}, not text or None")


def outcomes_of(answer: object, size: int) -> Sequence[Outcome]:
    """What the answer of ``publish_many`` says of each of ``size`` messages.

    If the answer as a whole makes no sense, all of them have failed: nobody knows which were
    accepted.
    """
    if type(answer) is not list:
        if not is_row(answer):
            return _all(size, f"returned {named(answer)}, not a sequence of outcomes")
        try:
            answer = list(answer)
        except Exception as error:  # noqa: BLE001  # a sequence of the transport's own
            text = f"returned a {type(answer).__name__} that cannot be read: {error_text(error)}"
            return _all(size, text)
    if len(answer) != size:
        return _all(size, f"gave {len(answer)} outcomes for {size} messages")
    return [
        (each, None) if each is None or type(each) is str else _outcome(each) for each in answer
    ]


def reasons_of(answer: object, who: str) -> Sequence[str]:
    """The reasons that ``check()`` has given; if the answer is wrong, one that says so.

    ``who`` was asked, such as "the store".
    """
    if isinstance(answer, Collection) and not isinstance(answer, str | bytes | Mapping):
        try:
            reasons = list(answer)
        except Exception as error:  # noqa: BLE001  # a collection of its own
            return [f"{who}'s check() returned what cannot be read: {error_text(error)}"]
        for each in reasons:
            if not isinstance(each, str):
                return [f"{who}'s check() returned {named(each)} among its texts"]
        return reasons
    said = f": {answer[:_MOST_SHOWN]}" if isinstance(answer, str) else ""
    return [f"{who}'s check() returned {named(answer)}, not a list of texts{said}"]


def is_row(answer: object) -> TypeGuard[Sequence[object]]:
    """Whether it is a sequence other than text."""
    return isinstance(answer, Sequence) and not isinstance(answer, str | bytes | bytearray)


def named(answer: object) -> str:
    """What came back, by its type: never by its content, which may be private.

    A coroutine that nobody will await any more is closed.
    """
    if inspect.iscoroutine(answer):
        if inspect.getcoroutinestate(answer) == inspect.CORO_CREATED:
            answer.close()
        return "a coroutine that was not awaited"
    return f"the class {answer.__name__}" if isinstance(answer, type) else type(answer).__name__


def _all(size: int, what: str) -> Sequence[Outcome]:
    return [(None, TransportError(f"publish_many {what}"))] * size


def _outcome(answer: object) -> Outcome:
    if isinstance(answer, str):
        return answer, None
    if isinstance(answer, Exception):
        return None, answer
    if isinstance(answer, BaseException):  # gather() returns a CancelledError like any other
        return None, as_error(answer)
    text = f"publish_many gave {named(answer)} for a message, not text, None or an exception"
    return None, TransportError(text)
