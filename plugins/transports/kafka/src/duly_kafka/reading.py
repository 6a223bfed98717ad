"""For consumers: what the transport wrote, read again."""

from collections.abc import Sequence
from typing import Protocol

from duly import InvalidMessage
from duly.reading import envelope_from
from duly.transport import Envelope
from duly_kafka.content import EVENT_NAME

__all__ = ["Incoming", "read"]


class Incoming(Protocol):
    """The parts of a record that are read: those of aiokafka and kafka-python have them."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


def read(record: Incoming) -> Envelope:
    """The message that was sent, from a record of a topic.

    Raises:
        InvalidMessage: it was not sent by duly.
    """
    try:
        headers = {name: value.decode() for name, value in record.headers}
    except UnicodeDecodeError as error:
        raise InvalidMessage(f"a header is not UTF-8: was it sent by duly? ({error})") from error
    event_name = headers.pop(EVENT_NAME, None)
    return envelope_from(headers, event_name=event_name, payload=record.value or b"")
