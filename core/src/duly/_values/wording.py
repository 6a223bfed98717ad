"""Errors and values of others as text, even if their ``str()`` raises."""

from collections.abc import Callable
from typing import Final

__all__ = ["decide_text", "decided_text", "kind_of", "text_of", "worded"]

_DECIDED: Final = "__duly_text__"
_LONGEST_KIND: Final = 255  # characters


def worded(error: BaseException) -> str:
    """The kind and the text of an error, nothing masked; the kind alone if ``str()`` raises.

    If a text was decided for the error, it is that text.
    """
    decided = decided_text(error)
    if decided is not None:
        return decided
    kind = type(error).__name__
    text = text_of(error)
    return kind if text is None else f"{kind}: {text}"


def kind_of(error: BaseException) -> str:
    """The name of the class of an error, as it is kept beside its text."""
    name = type(error).__name__.replace("\0", " ")[:_LONGEST_KIND]
    return name.encode("utf-8", "replace").decode()


def decide_text(error: BaseException, decide: Callable[[Exception], str]) -> None:
    """Give an error the text that a function of the user's returns; if that fails, its kind."""
    text: object = None
    if isinstance(error, Exception):
        try:
            text = decide(error)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # the user asks for discretion: show no more
            text = None
    error.__dict__[_DECIDED] = text if isinstance(text, str) else type(error).__name__


def decided_text(error: BaseException) -> str | None:
    """The text that was decided for an error; None: it may be told as it is."""
    text = error.__dict__.get(_DECIDED)
    return text if isinstance(text, str) else None


def text_of(value: object) -> str | None:
    """``str(value)``; None when that raises anything, even a panic of compiled code."""
    try:
        return f"{value}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # only a text was wanted, of an earlier error
        return None
