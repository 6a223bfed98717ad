"""For consumers: what the transport wrote, read again."""

from collections.abc import Mapping
from typing import Any, Protocol

from duly.reading import envelope_from
from duly.transport import Envelope
from duly_rabbitmq.names import EVENT_NAME, name_of

__all__ = ["Incoming", "read"]


class Incoming(Protocol):
    """The parts of a message that are read: aio-pika's have them."""

    @property
    def body(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, Any] | None: ...
    @property
    def type(self) -> str | None: ...


def read(message: Incoming) -> Envelope:
    """The message that was published, from one that a queue delivered.

    Headers that the broker adds, such as the table ``x-death`` of a dead letter, are left out: only
    headers that are text are metadata.

    Raises:
        InvalidMessage: it was not published by duly.
    """
    headers = {
        name_of(name): value
        for name, value in (message.headers or {}).items()
        if isinstance(value, str)
    }
    event_name = message.type or headers.pop(EVENT_NAME, None)
    return envelope_from(headers, event_name=event_name, payload=message.body)
