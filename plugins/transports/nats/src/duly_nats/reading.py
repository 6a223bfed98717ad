"""For consumers: what the transports wrote, read again."""

from collections.abc import Mapping
from typing import Protocol
from urllib.parse import unquote

from duly.reading import TRACE, envelope_from
from duly.template import Template
from duly.transport import Envelope
from duly_nats.content import EVENT_NAME, MESSAGE_ID, PREFIX

__all__ = ["Incoming", "read"]


class Incoming(Protocol):
    """The parts of a message that are read: nats-py's ``Msg`` has them."""

    @property
    def subject(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str] | None: ...


def read(message: Incoming, *, subject: str = "{event_name}") -> Envelope:
    """The message that was published; ``subject`` is that option of the transport.

    Raises:
        InvalidArgument: a ``subject`` that is not a template.
        InvalidMessage: it was not published by duly, or to another subject.
    """
    headers = {unquote(name): value for name, value in (message.headers or {}).items()}
    told = headers.pop(EVENT_NAME, None)
    headers.pop(MESSAGE_ID, None)
    name = Template(subject, option="subject").taken_from(message.subject) if told is None else told
    return envelope_from(
        {
            each.removeprefix(PREFIX): value if each in TRACE else unquote(value)
            for each, value in headers.items()
        },
        event_name=None if name is None else unquote(name),
        payload=message.data,
    )
