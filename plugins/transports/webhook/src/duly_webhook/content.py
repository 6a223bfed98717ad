"""A message as a CloudEvent 1.0 over HTTP: its headers and its body.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

import base64
import json
from typing import Final, Literal, TypeAlias

from duly.transport import Envelope
from duly_webhook.headers import attribute, content_type, passed_on

__all__ = ["DATA", "MODES", "STRUCTURED", "Mode", "content_of"]

Mode: TypeAlias = Literal["binary", "structured"]

MODES: Final[tuple[Mode, ...]] = ("binary", "structured")
STRUCTURED: Final = "application/cloudevents+json"
"""The content type of a body in JSON."""
DATA: Final = b', "data": '
"""In such a body the payload follows it, up to the last byte but one."""


def content_of(
    envelope: Envelope, mode: Mode, source: str, allowed: frozenset[str]
) -> tuple[dict[str, str], bytes]:
    """Headers and body of the request; ``source`` is the URI that says where events come from.

    ``allowed`` are the headers for proxies that metadata may set.

    binary: the body is the payload, the attributes are headers. structured: the body is JSON that
    holds the attributes, and the payload as ``data`` if its content type is JSON, else as
    ``data_base64``.
    """
    attributes = {
        "specversion": "1.0",
        "id": envelope.delivery_id,
        "source": source,
        "type": envelope.event_name,
        "time": envelope.scheduled_at.isoformat(timespec="microseconds"),
    }
    headers = passed_on(envelope, allowed)
    headers["idempotency-key"] = attribute(envelope.delivery_id)
    kind = content_type(envelope.metadata)
    if mode == "binary":
        headers |= {f"ce-{name}": attribute(text) for name, text in attributes.items()}
        headers["content-type"] = kind
        return headers, envelope.payload
    headers["content-type"] = f"{STRUCTURED}; charset=utf-8"
    start = json.dumps({**attributes, "datacontenttype": kind})[:-1]
    return headers, start.encode() + _data(envelope.payload, kind) + b"}"


def _data(payload: bytes, kind: str) -> bytes:
    """The last member of the JSON."""
    if _is_json(payload, kind):
        return DATA + payload  # unchanged, to the last digit
    return b', "data_base64": "' + base64.b64encode(payload) + b'"'


def _is_json(payload: bytes, kind: str) -> bool:
    media_type = kind.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        return False
    try:
        json.loads(payload.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
