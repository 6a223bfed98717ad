"""What the fields of a message may be: each is checked and brought into one form."""

import os
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Final

from duly._values.patterns import is_prefix
from duly._values.texts import as_name
from duly.errors import InvalidMessage
from duly.moment import as_moment
from duly.recurrence import Cron, Every, Recurrence

__all__ = [
    "UNREADABLE",
    "as_created_at",
    "as_event_name",
    "as_expires_at",
    "as_id",
    "as_payload",
    "as_recurrence",
    "as_scheduled_at",
    "new_id",
]

UNREADABLE: Final = "duly.unreadable"
"""The event name under which a record that cannot be read is listed; reserved."""

_MICROSECOND: Final = timedelta(microseconds=1)
_creations: Final = [datetime.max.replace(tzinfo=UTC)] * 2
"""What the clock showed when it moved last, and the latest moment that was made of it."""


def new_id() -> str:
    """A UUID version 7 (RFC 9562, section 5.7) as text: sorts by the millisecond it was made."""
    bits = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10), "big")
    bits = bits & ~(0xF << 76) | 0x7 << 76  # version
    bits = bits & ~(0x3 << 62) | 0x2 << 62  # variant
    return str(uuid.UUID(int=bits))


def as_event_name(value: str) -> str:
    """An event name, checked."""
    text = as_name(value, "event_name")
    if text == UNREADABLE:
        raise InvalidMessage(f"the event name {UNREADABLE!r} is reserved by duly")
    if is_prefix(text):
        raise InvalidMessage(
            f"the event name {text!r} stands for many names, in filters and for handlers: give a "
            "message the name of one event, as 'orders.paid'"
        )
    return text


def as_id(value: str | None) -> str:
    """An id, checked; a new one for None."""
    return new_id() if value is None else as_name(value, "id")


def as_payload(value: bytes) -> bytes:
    """The bytes of any bytes-like object."""
    if type(value) is bytes:
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        try:
            return bytes(memoryview(value))  # of a subclass the contents, not its __bytes__()
        except (TypeError, ValueError) as error:
            raise InvalidMessage(f"payload cannot be read: {error}") from error
    raise InvalidMessage(
        f"payload must be bytes, not {type(value).__name__}: encode it first, "
        "for example json.dumps(value).encode()"
    )


def as_recurrence(value: Recurrence | None) -> Recurrence | None:
    """A recurrence or None, checked."""
    if value is None or isinstance(value, Every | Cron):
        return value
    raise InvalidMessage(f"recurrence must be Every or Cron, not {type(value).__name__}")


def as_scheduled_at(value: datetime | None) -> datetime:
    """A moment in UTC; None is settled once the recurrence is known."""
    return value if value is None else as_moment(value, "scheduled_at", InvalidMessage)  # type: ignore[return-value]  # None until then


def as_expires_at(value: datetime | None) -> datetime | None:
    """A moment in UTC, or None."""
    return None if value is None else as_moment(value, "expires_at", InvalidMessage)


def as_created_at(value: datetime | None) -> datetime:
    """A moment in UTC; now for None."""
    return _creation() if value is None else as_moment(value, "created_at", InvalidMessage)


def _creation() -> datetime:
    """Now, but a new moment each time: it tells two messages of the same id apart.

    Some clocks tick only a hundred times a second, and in tests some stand still.
    """
    now = datetime.now(UTC)
    shown, latest = _creations
    if shown <= now <= latest:
        now = latest + _MICROSECOND
    else:
        shown = now
    _creations[:] = shown, now
    return now
