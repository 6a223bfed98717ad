"""Headers of a request, of whatever text: nothing of it can end a line or pose as another's."""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from duly.errors import InvalidArgument
from duly.transport import Envelope

__all__ = [
    "ANY_BYTES",
    "CONTENT_TYPE",
    "PREFIX",
    "attribute",
    "content_type",
    "for_metadata",
    "names_allowed",
    "passed_on",
]

CONTENT_TYPE: Final = "content-type"
ANY_BYTES: Final = "application/octet-stream"
"""The content type where metadata gives none."""
PREFIX: Final = "metadata-"
"""In front of names that metadata may not set."""

# What HTTP, CloudEvents, Standard Webhooks or duly give a meaning is not for metadata to set.
_RESERVED: Final = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
        "content-range", "cookie", "date", "expect", "host", "idempotency-key", "keep-alive", "te",
        "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
    }
)  # fmt: skip
# By these, proxies and frameworks take a request for another's, or for one to another place.
_FOR_PROXIES: Final = frozenset(
    {
        "cf-connecting-ip", "client-ip", "fastly-client-ip", "forwarded", "true-client-ip",
        "x-client-ip", "x-cluster-client-ip", "x-host", "x-http-destinationurl",
        "x-http-host-override", "x-http-method", "x-http-method-override", "x-method-override",
        "x-real-ip", "x-rewrite-url",
    }
)  # fmt: skip
_PREFIXES_FOR_PROXIES: Final = ("x-envoy-", "x-forwarded-", "x-original-")
_RESERVED_PREFIXES: Final = ("ce-", "duly-", PREFIX, "proxy-", "sec-", "webhook-")
_OWN: Final = tuple(
    f"duly-{name}"
    for name in ("message-id", "scheduled-at", "occurrence", "attempt", "delivery-id")
)
# Beside letters and digits, what a name and what a value may hold; % says that a byte follows.
_IN_NAMES: Final = "!#$&'*+-.^_`|~"
_IN_VALUES: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_IN_ATTRIBUTES: Final = _IN_VALUES.replace(" ", "").replace('"', "")


def names_allowed(names: Iterable[str]) -> frozenset[str]:
    """Headers that proxies obey and metadata may set all the same, in small letters.

    Raises:
        InvalidArgument: another name, which metadata may set anyway or never.
    """
    allowed = frozenset(name.strip().lower() for name in names)
    for name in allowed:
        if not _for_proxies(name):
            what = "is never for metadata to set" if _reserved(name) else "needs no allowance"
            raise InvalidArgument(
                f"allow_headers: {name!r} {what}; write names that proxies obey, such as "
                "x-forwarded-for"
            )
    return allowed


def passed_on(envelope: Envelope, allowed: frozenset[str]) -> dict[str, str]:
    """The metadata, the trace context and what duly tells, percent-encoded where it needs to be.

    A name that metadata may not set (of those for proxies what is not ``allowed``), or that
    differs from another by capitals alone, comes as ``metadata-`` and that name, its capitals
    encoded too.
    """
    headers: dict[str, str] = {}
    taken = {name.lower() for name in envelope.trace_context}
    for name, value in envelope.metadata.items():
        lower = name.lower()
        if lower == CONTENT_TYPE:
            continue
        if not name or lower in taken or not (lower in allowed or for_metadata(lower)):
            headers[PREFIX + _in_small_letters(name)] = _value(value)
        else:
            taken.add(lower)
            headers[quote(name, safe=_IN_NAMES)] = _value(value)
    for name, value in envelope.trace_context.items():
        # Such a value has an encoding of its own, which stays as it is.
        plain = value.isascii() and value.isprintable()
        headers[quote(name, safe=_IN_NAMES)] = value if plain else _value(value)
    return headers | {name: _value(envelope.headers[name]) for name in _OWN}


def for_metadata(lower: str) -> bool:
    """Whether a header, in small letters, is one that metadata may set without being allowed to."""
    known_as = lower.replace("_", "-")  # to receivers that keep headers as variables
    return not _reserved(known_as) and not _for_proxies(known_as)


def _reserved(lower: str) -> bool:
    return lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)


def _for_proxies(lower: str) -> bool:
    return lower in _FOR_PROXIES or lower.startswith(_PREFIXES_FOR_PROXIES)


def content_type(metadata: Mapping[str, str]) -> str:
    """What the metadata says of the payload; that of any bytes where it says nothing."""
    for name, value in metadata.items():
        if name.lower() == CONTENT_TYPE and value.strip():
            return _value(value.strip())
    return ANY_BYTES


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
