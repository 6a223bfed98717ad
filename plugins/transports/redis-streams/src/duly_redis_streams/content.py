"""A message as fields of a stream's entry, and as the one text that Pub/Sub carries."""

import json
from base64 import b64encode
from typing import Final

from duly.transport import Envelope

__all__ = ["EVENT_NAME", "PAYLOAD", "PREFIX", "entry_of", "text_of"]

EVENT_NAME: Final = "event_name"
PAYLOAD: Final = "payload"
_OWN: Final = {EVENT_NAME, PAYLOAD}
PREFIX: Final = "metadata-"


def entry_of(envelope: Envelope) -> list[bytes]:
    """Names and values in turn: the event name, the payload, and a field for each header."""
    fields = [EVENT_NAME, envelope.event_name, PAYLOAD]
    parts = [each.encode() for each in fields]
    parts.append(envelope.payload)
    for name, value in envelope.headers.items():
        parts += [each.encode() for each in _field(name, value)]
    return parts


def text_of(envelope: Envelope) -> bytes:
    """JSON with ``event_name``, ``headers`` and ``payload``.

    A payload that is not UTF-8 is in ``payload_base64`` instead.
    """
    content: dict[str, object] = {
        EVENT_NAME: envelope.event_name,
        "headers": dict(envelope.headers),
    }
    try:
        content[PAYLOAD] = envelope.payload.decode()
    except UnicodeDecodeError:
        content["payload_base64"] = b64encode(envelope.payload).decode()
    return json.dumps(content, ensure_ascii=False).encode()


def _field(name: str, value: str) -> tuple[str, str]:
    """A header as a field.

    A header named like a field of ours gets the prefix ``metadata-``. Fields carry any text, but a
    consumer may pass them on to a place where a line end ends a header: a value with line ends is
    percent-encoded, and its name ends in ``*``.
    """
    if name in _OWN or name.startswith(PREFIX):
        name = f"{PREFIX}{name}"
    if "\r" in value or "\n" in value or name.endswith("*"):
        encoded = value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        return f"{name}*", encoded
    return name, value
