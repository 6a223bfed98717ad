"""For receivers: what the transport sent, read again."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from duly import InvalidMessage
from duly.reading import TRACE, envelope_from
from duly.transport import Envelope
from duly_webhook.content import DATA, STRUCTURED
from duly_webhook.headers import ANY_BYTES, CONTENT_TYPE, PREFIX, for_metadata

__all__ = ["read"]

_EVENT: Final = "ce-type"


def read(headers: Mapping[str, str], body: bytes) -> Envelope:
    """The message of a request, in either mode, from its headers and its body as they came.

    Check its signature first, if you have a secret. All headers that metadata may set become
    metadata, also those that proxies on the way have added; their names have the case that your
    framework gives them, often lower case.

    Raises:
        InvalidMessage: it was not sent by duly.
    """
    prefixed, plain = {}, {}
    kind = ""
    for name, value in headers.items():
        lower = name.lower()
        if lower.startswith(PREFIX):
            prefixed[unquote(name[len(PREFIX) :])] = unquote(value)
        elif lower in TRACE:
            plain[lower] = value
        elif lower == CONTENT_TYPE:
            kind = unquote(value)
        elif lower == _EVENT or lower.startswith("duly-"):
            plain[lower] = unquote(value)
        elif for_metadata(lower):
            plain[unquote(name)] = unquote(value)
    event_name, payload = plain.pop(_EVENT, None), body
    if kind.partition(";")[0].strip().lower() == STRUCTURED:
        event_name, kind, payload = _of_json(body)
    metadata = {} if kind in ("", ANY_BYTES) else {CONTENT_TYPE: kind}
    # A header that metadata could not set does not replace the real one of that name.
    return envelope_from({**prefixed, **metadata, **plain}, event_name=event_name, payload=payload)


def _of_json(body: bytes) -> tuple[str, str, bytes]:
    """The event name, the content type and the payload of a CloudEvent in JSON."""
    try:
        event = json.loads(body)
        told = str(event["type"]), unquote(str(event["datacontenttype"]))
        if "data_base64" in event:
            return *told, base64.b64decode(event["data_base64"], validate=True)
        return *told, _as_it_stands(body, event["data"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidMessage(
            f"the body is no CloudEvent of duly's ({type(error).__name__}: {error})"
        ) from error


def _as_it_stands(body: bytes, data: Any) -> bytes:
    """The payload unchanged, to the last digit, unless a proxy has rewritten the JSON."""
    _, found, rest = body.partition(DATA)  # no text of the members before can hold it unescaped
    payload = rest.rstrip()[:-1]
    try:
        if found and json.loads(payload) == data:
            return payload
    except ValueError:
        pass
    return json.dumps(data).encode()
