"""A message as a record: topic, key, value and headers."""

from typing import Final, NamedTuple

from duly.transport import Envelope
from duly_kafka.topics import Topics

__all__ = ["EVENT_NAME", "Record", "record_of"]

EVENT_NAME: Final = "duly-event-name"
"""The header with the event name, which the topic may lack or have in another spelling."""


class Record(NamedTuple):
    """What is sent, as aiokafka wants it."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def record_of(envelope: Envelope, topics: Topics, key_from: str | None) -> Record:
    """The record of a message; its key is that of its metadata, the delivery id without one.

    Raises:
        Rejected: no topic can be made of its event name.
    """
    key = envelope.metadata.get(key_from) if key_from is not None else None
    headers = [
        (name, text.encode()) for name, text in envelope.headers.items() if name != EVENT_NAME
    ]
    headers.append((EVENT_NAME, envelope.event_name.encode()))
    return Record(
        topics(envelope.event_name),
        (envelope.delivery_id if key is None else key).encode(),
        envelope.payload,
        headers,
    )
