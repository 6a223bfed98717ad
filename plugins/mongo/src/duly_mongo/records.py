"""Message to document and back.

Each moment is in a document twice: as a date for people, in whole milliseconds, and exactly, in
microseconds since 1970 UTC, in a field whose name ends with ``_us``.
"""

from collections.abc import Mapping
from typing import Any, Final

import bson
from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

from duly import Message, State
from duly.message import UNREADABLE, with_changes
from duly.record import (
    FORMAT,
    NewerRecord,
    Record,
    UnreadableRecord,
    from_record,
    to_record,
    unreadable,
)
from duly_mongo.places import as_moment, place
from duly_mongo.statuses import SCHEDULED, state_of

__all__ = ["LARGEST", "document_of", "id_of", "moments", "read", "show"]

LARGEST: Final = 16_000_000
"""Bytes that a message may hold, of the 16 MiB of a document; the rest is for other fields."""

_OURS: Final = frozenset({
    "dead", "due", "key", "lapses", "origin", "place", "status", "token", "unreadable",
})  # fmt: skip
"""The fields that belong to the store itself, besides the record."""


def document_of(message: Message, key: str) -> dict[str, Any]:
    """What is stored of a message, which waits from now on."""
    record = to_record(message)
    document = {
        "_id": record.id,
        "key": key,
        "status": SCHEDULED,
        "due": place(record.next_attempt_at, key),
        "place": place(record.scheduled_at, record.id),
        "lapses": 0,
        "format": record.format,
        "event_name": record.event_name,
        "payload": record.payload,
        "metadata": record.metadata.decode(),
        **moments(
            scheduled_at=record.scheduled_at,
            created_at=record.created_at,
            next_attempt_at=record.next_attempt_at,
        ),
        "retry_count": record.retry_count,
        "occurrence_count": record.occurrence_count,
        "last_error": record.last_error,
    }
    if record.expires_at is not None:
        document |= moments(expires_at=record.expires_at)
    if record.trace_context:
        document["trace_context"] = record.trace_context.decode()
    if record.recurrence is not None:
        document["recurrence"] = record.recurrence
    if record.delivery_id is not None:
        document["delivery_id"] = record.delivery_id
    if record.given_at is not None:
        document |= moments(given_at=record.given_at)
    return document


def moments(**microseconds: int) -> dict[str, Any]:
    """The two fields of each moment."""
    fields: dict[str, Any] = {}
    for name, value in microseconds.items():
        fields[name] = DatetimeMS(value // 1000)
        fields[f"{name}_us"] = Int64(value)
    return fields


def read(document: Mapping[str, Any], state: State) -> Message:
    """The message of a document.

    Raises:
        NewerRecord: its format is newer than this duly can read.
        UnreadableRecord: duly did not write it, or it is damaged.
    """
    get = document.get
    version = get("format")
    try:
        record = Record(
            version if type(version) is int else 0,
            document["_id"],
            document["event_name"],
            document["payload"],
            document["metadata"].encode(),
            _whole(document["scheduled_at_us"]),
            _whole(document["created_at_us"]),
            _maybe_whole(get("expires_at_us")),
            get("recurrence"),
            _whole(document["next_attempt_at_us"]),
            _whole(document["retry_count"]),
            _whole(document["occurrence_count"]),
            get("last_error"),
            get("delivery_id"),
            get("trace_context", "").encode(),
            _maybe_whole(get("given_at_us")),
        )
        record.event_name.encode()  # invalid UTF-8 has become lone surrogates
        if type(document["key"]) is not str:
            raise TypeError("its key is not text")  # noqa: TRY301  # as for all that is odd in it
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if type(version) is int and version > FORMAT:
            return from_record((version,), state)  # raises, in its own words
        raise UnreadableRecord(f"document cannot be read: {error!r}") from error
    return from_record(record, state)


def show(document: Mapping[str, Any]) -> Message:
    """What is listed for a document, whatever is in it."""
    state = state_of(document.get("status"))
    try:
        return read(document, state)
    except NewerRecord as error:
        return _unreadable(document, str(error), state)
    except UnreadableRecord as error:
        return _unreadable(document, str(error), State.DEAD)


def id_of(document: Mapping[str, Any]) -> str:
    """The id that a document is known under, made text if it is not."""
    id = document["_id"]
    return id if isinstance(id, str) else f"{UNREADABLE}:{id}"


def _unreadable(document: Mapping[str, Any], reason: str, state: State) -> Message:
    moment = as_moment(document.get("place"))
    payload = document.get("payload")
    if type(payload) is not bytes:
        payload = bson.encode({k: v for k, v in document.items() if k not in _OURS})
    return with_changes(
        unreadable(id_of(document), payload, reason, state=state),
        scheduled_at=moment,
        next_attempt_at=moment,
    )


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r:.50} is not a whole number")
    return int(value)


def _maybe_whole(value: object) -> int | None:
    return None if value is None else _whole(value)
