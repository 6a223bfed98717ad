"""Headers and properties that the user chooses, filled in for each message: for task queues."""

from collections.abc import Mapping
from typing import Final

from aio_pika import Message

from duly.errors import InvalidArgument, Rejected
from duly.template import Template
from duly.transport import Envelope
from duly_rabbitmq.content import SHORT, fits

__all__ = ["Filling", "pairs_of"]

_FIELDS: Final = ("event_name", "delivery_id", "message_id")
_PROPERTIES: Final = ("app_id", "content_encoding", "content_type", "correlation_id", "reply_to")
_LONGEST_NAME: Final = 128  # bytes: what AMQP allows
_FOR_THE_BROKER: Final = {"CC", "BCC"}


class Filling:
    """Templates by name, some for headers and some for properties.

    Raises:
        InvalidArgument: an unknown property, a header that is duly's or the broker's, or a text
            that is not a template.
    """

    def __init__(self, headers: Mapping[str, str], properties: Mapping[str, str]) -> None:
        for name in headers:
            if not 0 < len(name.encode()) <= _LONGEST_NAME:
                raise InvalidArgument(f"headers: a name has 1 to {_LONGEST_NAME} bytes: {name!r}")
            if name.startswith("duly-") or name in _FOR_THE_BROKER:
                raise InvalidArgument(f"headers: {name!r} is not for you to set")
        if unknown := sorted(properties.keys() - {*_PROPERTIES}):
            raise InvalidArgument(
                f"properties: unknown are {', '.join(unknown)}; known: {', '.join(_PROPERTIES)}"
            )
        self._headers = _templates("headers", headers)
        self._properties = _templates("properties", properties)

    def into(self, message: Message, envelope: Envelope) -> None:
        """Fill them into a message; they override metadata.

        Raises:
            Rejected: a property that is too long.
        """
        known = {"delivery_id": envelope.delivery_id, "message_id": envelope.message_id}
        for name, template in self._headers.items():
            message.headers[name] = template.fill(envelope.event_name, **known)
        # As a property, a delivery id has the same short form as message_id.
        known["delivery_id"] = str(message.message_id)
        for name, template in self._properties.items():
            text = template.fill(envelope.event_name, **known)
            if not fits(text):
                raise Rejected(f"its property {name} is longer than {SHORT} bytes")
            setattr(message, name, text)


def _templates(option: str, texts: Mapping[str, str]) -> Mapping[str, Template]:
    return {
        name: Template(text, option=f"{option}, {name}", fields=_FIELDS)
        for name, text in texts.items()
    }


def pairs_of(text: str) -> Mapping[str, str]:
    """The templates in an option of a URL: ``name=template,name=template``.

    Raises:
        InvalidArgument: a part without an equals sign.
    """
    pairs = [each.partition("=") for each in text.split(",")]
    for name, equals, _ in pairs:
        if not equals:
            raise InvalidArgument(f"write name=template, with commas between them, not {name!r}")
    return {name.strip(): template for name, _, template in pairs}
