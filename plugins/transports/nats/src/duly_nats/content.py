"""Headers of a message, whatever text: none can end a line or pose as a header of the server."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from duly.transport import Envelope

__all__ = ["EVENT_NAME", "MESSAGE_ID", "PREFIX", "headers_of", "size_of"]

MESSAGE_ID: Final = "Nats-Msg-Id"
"""The header by which JetStream recognises repeats."""
EVENT_NAME: Final = "duly-event-name"
"""The header with the event name, sent if the subject does not tell it."""
PREFIX: Final = "metadata-"
"""The prefix for names of metadata that have a meaning of their own."""

# Metadata cannot set names that have a meaning to NATS, its clients or duly.
_RESERVED: Final = frozenset({"", "status", "description"})
_RESERVED_PREFIXES: Final = ("nats-", "duly-", PREFIX)
_OWN: Final = frozenset(
    f"duly-{name}"
    for name in ("message-id", "scheduled-at", "occurrence", "attempt", "delivery-id")
)
_IN_NAMES: Final = "!#$&'*+-.^_`|~"  # besides letters and digits
# A value that needs no encoding: no percent sign, no control character, no blank at an end.
_PLAIN: Final = re.compile(r"(?!\s)[^%\x00-\x1f\x7f-\x9f]*(?<!\s)")
_ENCODED: Final = re.compile(r"[%\x00-\x1f\x7f-\x9f]|^\s+|\s+$")


def headers_of(envelope: Envelope, *, named: bool) -> dict[str, str]:
    """The headers of a message: metadata, trace context, those of duly, and the message id.

    Names and values that NATS cannot carry are percent-encoded. ``named``: the subject tells the
    event name.
    """
    headers = {
        name if name in _OWN else _name(name): _value(text)
        for name, text in envelope.headers.items()
    }
    for name, text in envelope.trace_context.items():
        # Such a value has an encoding of its own, and stays as it is.
        if text.isascii() and text.isprintable() and text == text.strip():
            headers[_name(name)] = text
    headers[MESSAGE_ID] = _value(envelope.delivery_id)
    if not named:
        headers[EVENT_NAME] = _value(envelope.event_name)
    return headers


def size_of(headers: dict[str, str]) -> int:
    """How many bytes the client sends for them."""
    lines = sum(len(name) + len(value.encode()) + 4 for name, value in headers.items())
    return len("NATS/1.0\r\n\r\n") + lines


@lru_cache(maxsize=4096)
def _name(name: str) -> str:
    """A name of metadata; one with a meaning of its own gets the prefix ``metadata-``."""
    lower = name.lower()
    if lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES):
        name = f"{PREFIX}{name}"
    return quote(name, safe=_IN_NAMES)


def _value(text: str) -> str:
    if _PLAIN.fullmatch(text):
        return text
    return _ENCODED.sub(lambda found: quote(found[0], safe=""), text)
