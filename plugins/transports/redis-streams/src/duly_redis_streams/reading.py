"""For consumers: what the transports wrote, read again."""

import base64
import json
from collections.abc import Mapping
from urllib.parse import unquote

from duly import InvalidMessage
from duly.reading import envelope_from
from duly.transport import Envelope
from duly_redis_streams.content import EVENT_NAME, PAYLOAD, PREFIX

__all__ = ["read", "read_json"]


def read(fields: Mapping[bytes, bytes] | Mapping[str, str]) -> Envelope:
    """The message of a stream's entry, from its fields as XREAD and similar commands give them.

    Fields may be text, from a client that decodes answers, but such a client fails at a payload
    that is not UTF-8.

    Raises:
        InvalidMessage: the entry was not added by duly.
    """
    headers: dict[str, str] = {}
    event_name, payload = None, None
    for name, value in fields.items():
        field = _text(name)
        if field == PAYLOAD:
            payload = value.encode() if isinstance(value, str) else value
        elif field == EVENT_NAME:
            event_name = _text(value)
        else:
            header, text = _header(field, _text(value))
            headers[header] = text
    if payload is None:
        raise InvalidMessage(f"the entry has no field {PAYLOAD}: was it added by duly?")
    return envelope_from(headers, event_name=event_name, payload=payload)


def read_json(data: bytes | str) -> Envelope:
    """The message of Pub/Sub, from the data of a message in the format ``json``.

    Raises:
        InvalidMessage: it was not published by duly in that format.
    """
    try:
        content = json.loads(data)
        headers = {str(name): str(value) for name, value in content["headers"].items()}
        if (text := content.get(PAYLOAD)) is not None:
            payload = text.encode()
        else:
            payload = base64.b64decode(content["payload_base64"], validate=True)
        event_name = str(content[EVENT_NAME])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidMessage(
            "the message is not what duly publishes with format=json "
            f"({type(error).__name__}: {error})"
        ) from error
    return envelope_from(headers, event_name=event_name, payload=payload)


def _text(value: bytes | str) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise InvalidMessage(
            f"a field is not UTF-8: was the entry added by duly? ({error})"
        ) from error


def _header(name: str, value: str) -> tuple[str, str]:
    """A field as the header that it stands for."""
    if name.endswith("*"):
        name, value = name[:-1], unquote(value)
    return name.removeprefix(PREFIX), value
