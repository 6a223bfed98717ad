"""A due message as a message of AMQP: its properties, its headers and the limits of both."""

import hashlib
from collections.abc import Mapping
from typing import Final

from aio_pika import DeliveryMode, Message
from aio_pika.abc import HeadersType

from duly.errors import Rejected
from duly.transport import Envelope
from duly_rabbitmq.names import EVENT_NAME, header_name

__all__ = ["SHORT", "fits", "header_bytes_at_most", "message_of"]

SHORT: Final = 255
"""How many bytes of UTF-8 names and properties may have."""

_HEADER_NAME: Final = 128  # bytes: what AMQP allows, and the driver would cut off
_CONTENT_TYPE: Final = "content-type"
_BYTES_OF_A_LETTER: Final = 4  # at most, in UTF-8
_BYTES_OF_A_HEADER: Final = 6  # besides its name and value: their lengths, and its type
_BYTES_OF_PROPERTIES: Final = 2048  # at most, without the headers


def message_of(envelope: Envelope, *, persistent: bool) -> Message:
    """The message to publish: ``message_id`` is the delivery id and ``type`` the event name.

    Raises:
        Rejected: a name of metadata over 128 bytes.
    """
    headers = _headers(envelope)
    event_name: str | None = envelope.event_name
    if not fits(envelope.event_name):
        headers[EVENT_NAME], event_name = envelope.event_name, None
    return Message(
        envelope.payload,
        headers=headers,
        message_id=_short(envelope.delivery_id),
        type=event_name,
        content_type=_content_type(envelope.metadata),
        delivery_mode=DeliveryMode.PERSISTENT if persistent else DeliveryMode.NOT_PERSISTENT,
    )


def header_bytes_at_most(message: Message) -> int:
    """An upper bound, cheap to compute, for the bytes of all but the payload."""
    letters = sum(len(name) + len(str(value)) for name, value in message.headers.items())
    return (
        _BYTES_OF_A_LETTER * letters
        + _BYTES_OF_A_HEADER * len(message.headers)
        + _BYTES_OF_PROPERTIES
    )


def fits(text: str) -> bool:
    """Whether it is short enough for a property or a routing key."""
    return len(text) <= SHORT and len(text.encode()) <= SHORT


def _headers(envelope: Envelope) -> HeadersType:
    headers: HeadersType = {header_name(name): value for name, value in envelope.headers.items()}
    if max(map(len, headers)) * _BYTES_OF_A_LETTER > _HEADER_NAME:
        for name in headers:
            if len(name.encode()) > _HEADER_NAME:
                raise Rejected(f"a name of metadata is longer than {_HEADER_NAME} bytes")
    return headers


def _short(delivery_id: str) -> str:
    """The delivery id, or a short form of one that is too long; the header has all of it."""
    if fits(delivery_id):
        return delivery_id
    return f"sha256:{hashlib.sha256(delivery_id.encode()).hexdigest()}"


def _content_type(metadata: Mapping[str, str]) -> str | None:
    for name, value in metadata.items():
        if len(name) == len(_CONTENT_TYPE) and name.lower() == _CONTENT_TYPE and fits(value):
            return value
    return None
