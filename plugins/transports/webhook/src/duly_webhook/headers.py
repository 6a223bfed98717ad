"""Headers of a request, whatever text: none can end a line or pose as somebody else's header."""

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
"""The content type if metadata gives none."""
PREFIX: Final = "metadata-"
"""The prefix for names that metadata may not set."""

# Metadata cannot set headers that have a meaning to HTTP, CloudEvents, Standard Webhooks or duly.
_RESERVED: Final = frozenset(
    {
        "accept-encoding", "authorization", "connection", "content-encoding", "content-length",
        "content-range", "cookie", "date", "expect", "host", "idempotency-key", "keep-alive", "te",
        "trailer", "transfer-encoding", "upgrade", "user-agent", "via",
    }
)  # fmt: skip
# Because of these, proxies and frameworks may think that a request has another sender or target.
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
# What names and values may hold besides letters and digits; % says that an encoded byte follows.
_IN_NAMES: Final = "!#$&'*+-.^_`|~"
_IN_VALUES: Final = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
_IN_ATTRIBUTES: Final = _IN_VALUES.replace(" ", "").replace('"', "")


def names_allowed(names: Iterable[str]) -> frozenset[str]:
    """Headers that proxies obey and that metadata may set nevertheless, in lower case.

    Raises:
        InvalidArgument: another name, which metadata may set anyway or never.
    """
    allowed = frozenset(name.strip().lower() for name in names)
    for name in allowed:
        if not _for_proxies(name):
            what = "can never be set by metadata" if _reserved(name) else "needs no allowance"
            raise InvalidArgument(
                f"allow_headers: {name!r} {what}; write names that proxies obey, such as "
                "x-forwarded-for"
            )
    return allowed


def passed_on(envelope: Envelope, allowed: frozenset[str]) -> dict[str, str]:
    """The metadata, the trace context and duly's own headers, percent-encoded where needed.

    A name that metadata may not set (also one for proxies that is not ``allowed``), or that differs
    from another only in upper and lower case, gets the prefix ``metadata-``, and its capitals are
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
        # Such a value has an encoding of its own, and stays as it is.
        plain = value.isascii() and value.isprintable()
        headers[quote(name, safe=_IN_NAMES)] = value if plain else _value(value)
    return headers | {name: _value(envelope.headers[name]) for name in _OWN}


def for_metadata(lower: str) -> bool:
    """Whether metadata may set a header, given in lower case, without an allowance."""
    known_as = lower.replace("_", "-")  # as receivers see it that keep headers as variables
    return not _reserved(known_as) and not _for_proxies(known_as)


def _reserved(lower: str) -> bool:
    return lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)


def _for_proxies(lower: str) -> bool:
    return lower in _FOR_PROXIES or lower.startswith(_PREFIXES_FOR_PROXIES)


def content_type(metadata: Mapping[str, str]) -> str:
    """The content type in the metadata; without one, that of arbitrary bytes."""
    for name, value in metadata.items():
        if name.lower() == CONTENT_TYPE and value.strip():
            return _value(value.strip())
    return ANY_BYTES


def attribute(text: str) -> str:
    """A value as the HTTP binding of CloudEvents 1.0 encodes it (section 3.1.3.2).

    Encoded are blanks, double quotes, percent signs and all but printable ASCII, as UTF-8 bytes.
    """
    return quote(text, safe=_IN_ATTRIBUTES)


def _value(text: str) -> str:
    """Text that arrives unchanged; blanks at its ends are encoded, since they would be stripped."""
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
