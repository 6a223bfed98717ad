"""Headers of a request, of whatever text: nothing of it can end a line or pose as another's."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from duly.transport import Envelope

__all__ = ["attribute", "content_type", "passed_on"]

# What HTTP, CloudEvents, Standard Webhooks or duly give a meaning is not for metadata to set.
_RESERVED: Final = frozenset(
    {
        "authorization", "connection", "content-encoding", "content-length", "content-range",
        "cookie", "date", "expect", "forwarded", "host", "idempotency-key", "keep-alive", "te",
        "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
    }
)  # fmt: skip
_RESERVED_PREFIXES: Final = ("ce-", "duly-", "metadata-", "proxy-", "sec-", "webhook-")
_OWN: Final = tuple(
    f"duly-{name}"
    for name in ("message-id", "scheduled-at", "occurrence", "attempt", "delivery-id")
)
_CONTENT_TYPE: Final = "content-type"
# Beside letters and digits, what a name and what a value may hold; % says that a byte follows.
_IN_NAMES: Final = "!#$&'*+-.^_`|~"
_IN_VALUES: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_IN_ATTRIBUTES: Final = _IN_VALUES.replace(" ", "").replace('"', "")


def passed_on(envelope: Envelope) -> dict[str, str]:
    """The metadata, the trace context and what duly tells, percent-encoded where it needs to be.

    A name that metadata may not set, or that differs from another by capitals alone, comes as
    ``metadata-`` and that name, its capitals encoded too.
    """
    headers: dict[str, str] = {}
    taken = {name.lower() for name in envelope.trace_context} | _RESERVED
    for name, value in envelope.metadata.items():
        lower = name.lower()
        if lower == _CONTENT_TYPE:
            continue
        if not name or lower in taken or lower.startswith(_RESERVED_PREFIXES):
            headers["metadata-" + _in_small_letters(name)] = _value(value)
        else:
            taken.add(lower)
            headers[quote(name, safe=_IN_NAMES)] = _value(value)
    for name, value in envelope.trace_context.items():
        # Such a value has an encoding of its own, which stays as it is.
        plain = value.isascii() and value.isprintable()
        headers[quote(name, safe=_IN_NAMES)] = value if plain else _value(value)
    return headers | {name: _value(envelope.headers[name]) for name in _OWN}


def content_type(metadata: Mapping[str, str]) -> str:
    """What the metadata says of the payload; that of any bytes where it says nothing."""
    for name, value in metadata.items():
        if name.lower() == _CONTENT_TYPE and value.strip():
            return _value(value.strip())
    return "application/octet-stream"


def attribute(text: str) -> str:
    """A value as the HTTP binding of CloudEvents 1.0 encodes it (section 3.1.3.2).

    Blanks, double quotes, percent signs and all but printable ASCII, byte by byte in UTF-8.
    """
    return quote(text, safe=_IN_ATTRIBUTES)


def _value(text: str) -> str:
    """Text that survives; blanks at its ends would be taken off."""
    inner = text.strip(" ")
    if not inner:
        return "%20" * len(text)
    start = text.index(inner)
    end = len(text) - start - len(inner)
    return "%20" * start + quote(inner, safe=_IN_VALUES) + "%20" * end


def _in_small_letters(name: str) -> str:
    return "".join(
        f"%{ord(letter):02X}" if "A" <= letter <= "Z" else quote(letter, safe=_IN_NAMES)
        for letter in name
    )
