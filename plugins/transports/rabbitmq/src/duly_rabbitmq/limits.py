"""The limits of a broker, so that nothing is sent for which it would end the connection."""

from typing import Final

import aiormq.abc
import attrs
from aio_pika import Message

from duly.errors import Rejected
from duly_rabbitmq.content import header_bytes_at_most

__all__ = ["Limits", "limits_of"]

_MIB: Final = 2**20
# By the first version that has this default.
_LARGEST: Final = (((4,), 16 * _MIB), ((3, 8), 128 * _MIB))
_AROUND_PROPERTIES: Final = 20  # bytes: the frame, the class of the content and its size


@attrs.frozen(kw_only=True)
class Limits:
    """How many bytes a payload may have, and a frame, which must hold all headers."""

    payload: int | None = None
    frame: int | None = None

    def check(self, message: Message) -> None:
        """Check that a message fits.

        Raises:
            Rejected: it does not.
        """
        if self.payload is not None and message.body_size > self.payload:
            raise Rejected(
                f"the payload has {message.body_size} bytes, and the broker takes {self.payload}"
            )
        if self.frame is not None and header_bytes_at_most(message) > self.frame:
            size = len(message.properties.marshal()) + _AROUND_PROPERTIES
            if size > self.frame:
                raise Rejected(
                    f"the headers have {size} bytes, and the broker takes {self.frame} in a frame"
                )


def limits_of(connection: aiormq.abc.AbstractConnection, payload: int | None) -> Limits:
    """The broker's limit of frames, and ``largest`` or the default limit of its version."""
    properties = connection.server_properties
    if payload is None and properties.get("product") == "RabbitMQ":
        version = _version(str(properties.get("version", "")))
        payload = next((size for first, size in _LARGEST if version >= first), None)
    return Limits(payload=payload, frame=connection.connection_tune.frame_max or None)


def _version(text: str) -> tuple[int, ...]:
    numbers = []
    for part in text.split(".")[:2]:
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
