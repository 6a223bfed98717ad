"""Where a retry keeps the span of the attempt before it: as the last line of ``last_error``.

The text of an error is the one thing of free length that is written for a retry anyway: so every
store can keep it, no record changes its format, and a reader of an older version shows one line
more. Who reads a message finds the text as it was.
"""

from typing import Final

__all__ = ["with_attempt", "without_attempt"]

_MARK: Final = "\ntraceparent: "
_CONTEXT: Final = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
_LINE: Final = len(_MARK) + _CONTEXT
_BYTES: Final = 1024  # of text and line, as error_text() has it


def with_attempt(text: str | None, traceparent: str | None) -> str | None:
    """A text to store, with the W3C context of the attempt that ended so, if there is one."""
    if text is None or traceparent is None or len(traceparent) != _CONTEXT:
        return text
    if len(text) > (_BYTES - _LINE) // 4:  # a character has four bytes at most
        text = text.encode("utf-8", "replace")[: _BYTES - _LINE].decode("utf-8", "ignore")
    return f"{text}{_MARK}{traceparent}"


def without_attempt(text: str | None) -> tuple[str | None, str | None]:
    """What :func:`with_attempt` was given; None as the context where there is none."""
    if text is None or text[-_LINE:-_CONTEXT] != _MARK:
        return text, None
    return text[:-_LINE], text[-_CONTEXT:]
