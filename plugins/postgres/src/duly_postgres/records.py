"""From rows to messages, readable or not."""

from collections.abc import Sequence
from typing import Any, Final

from duly import Message, State
from duly.message import with_changes
from duly.moment import from_microseconds
from duly.record import NewerRecord, Record, UnreadableRecord, from_record, unreadable

__all__ = ["show"]

_NAMES: Final = Record._fields
_ID, _PAYLOAD, _SCHEDULED_AT = (_NAMES.index(name) for name in ("id", "payload", "scheduled_at"))


def show(record: Sequence[Any], state: State) -> Message:
    """What is listed for a record, whatever is in it."""
    try:
        return from_record(record, state)
    except NewerRecord as error:
        return _unreadable(record, str(error), state)
    except UnreadableRecord as error:
        return _unreadable(record, str(error), State.DEAD)


def _unreadable(record: Sequence[Any], reason: str, state: State) -> Message:
    moment = from_microseconds(record[_SCHEDULED_AT])  # a check of the schema ensures this works
    return with_changes(
        unreadable(record[_ID], record[_PAYLOAD], reason, state=state),
        scheduled_at=moment,
        next_attempt_at=moment,
    )
