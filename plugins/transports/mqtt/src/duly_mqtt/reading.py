"""For consumers: what the transport wrote, read again."""

from typing import Any, Protocol
from urllib.parse import unquote

from duly import InvalidMessage
from duly.reading import TRACE, envelope_from
from duly.template import Template
from duly.transport import Envelope
from duly_mqtt.content import CONTENT_TYPE, EVENT_NAME, PREFIX

__all__ = ["Incoming", "read"]


class Incoming(Protocol):
    """The parts of a message that are read: those of aiomqtt and paho-mqtt have them."""

    @property
    def topic(self) -> object: ...
    @property
    def payload(self) -> Any: ...
    @property
    def properties(self) -> Any: ...


def read(message: Incoming, *, topic: str = "{event_name}") -> Envelope:
    """The message that was published; ``topic`` is that option of the transport.

    A content type is the metadata ``content-type``, in small letters.

    Raises:
        InvalidArgument: a ``topic`` that is no template.
        InvalidMessage: it was not published by duly, or to another topic, or with MQTT 3.1.1, which
            carries nothing besides the payload.
    """
    if not isinstance(message.payload, bytes | bytearray):
        raise InvalidMessage("the payload is not bytes: was it published by duly?")
    template = Template(topic, option="topic")
    headers: dict[str, str] = {}
    for name, value in getattr(message.properties, "UserProperty", ()):
        header = unquote(name)
        headers[header] = value if header in TRACE else unquote(value)
    name = template.taken_from(str(message.topic))
    if name is not None:
        name = unquote(name)
    if not template.varies:
        name = headers.pop(EVENT_NAME, None)
        headers = {header.removeprefix(PREFIX): value for header, value in headers.items()}
    kind = getattr(message.properties, "ContentType", None)
    if kind is not None:
        headers[CONTENT_TYPE] = unquote(kind)
    return envelope_from(headers, event_name=name, payload=bytes(message.payload))
