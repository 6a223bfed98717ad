"""The way back: what a consumer got, as the envelope that a transport was given.

For the functions ``read`` by which plugins undo what their transports wrote.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from duly._values.plain import shown
from duly.errors import InvalidMessage
from duly.transport import Envelope

__all__ = ["TRACE", "envelope_from"]

TRACE: Final = frozenset({"traceparent", "tracestate"})
"""The headers of a trace context, in small letters."""

_OWN: Final = (
    "duly-message-id", "duly-scheduled-at", "duly-occurrence", "duly-attempt", "duly-delivery-id",
)  # fmt: skip


def envelope_from(
    headers: Mapping[str, str], *, event_name: str | None, payload: bytes
) -> Envelope:
    """The envelope of a message whose ``headers`` are those of :attr:`Envelope.headers`.

    What is neither duly's nor of the trace context is metadata. ``event_name`` is None where the
    message does not tell it.

    Raises:
        InvalidMessage: a header of duly's is missing or cannot be understood: the message was sent
            by somebody else, or its headers were lost on the way.
    """
    if not event_name:
        raise InvalidMessage("the message has no event name: was it sent by duly?")
    own = {name: _told(headers, name) for name in _OWN}
    rest = {name: value for name, value in headers.items() if name not in _OWN}
    return Envelope(
        message_id=own["duly-message-id"],
        event_name=event_name,
        payload=payload,
        metadata={name: value for name, value in rest.items() if name not in TRACE},
        scheduled_at=_moment(own["duly-scheduled-at"]),
        occurrence=_count(own, "duly-occurrence", at_least=0),
        attempt=_count(own, "duly-attempt", at_least=1),
        trace_context={name: value for name, value in rest.items() if name in TRACE},
        delivery_id=own["duly-delivery-id"],
    )


def _told(headers: Mapping[str, str], name: str) -> str:
    if not (value := headers.get(name)):
        raise InvalidMessage(
            f"the header {name} is missing: was the message sent by duly, and did all of its "
            "headers arrive?"
        )
    return value


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise _nonsense("duly-scheduled-at", text, "a moment with its zone, as ISO 8601 has it")


def _count(own: Mapping[str, str], name: str, *, at_least: int) -> int:
    text = own[name]
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) >= at_least:
        return int(text)
    raise _nonsense(name, text, f"a whole number from {at_least}")


def _nonsense(name: str, text: str, wanted: str) -> InvalidMessage:
    return InvalidMessage(f"the header {name} is {shown(text)}, not {wanted}")
