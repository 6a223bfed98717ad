"""Message to document and back."""

from collections.abc import Mapping
from typing import Any, Final

import bson

from duly import InvalidMessage, Message, State
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
from duly_mongo.fates import fate_of, fields_of
from duly_mongo.places import as_moment, place
from duly_mongo.statuses import DEAD, SCHEDULED, state_of
from duly_mongo.values import maybe_whole, moments, whole

__all__ = ["LARGEST", "document_of", "id_of", "read", "show", "too_large"]

LARGEST: Final = 16_000_000
"""Bytes that a message may hold, of the 16 MiB of a document; the rest is for other fields."""

_OURS: Final = frozenset({
    "aside", "dead", "declared_by", "due", "generation", "key", "lapses", "origin", "place",
    "revision", "status", "successor", "token", "unreadable",
})  # fmt: skip
"""The fields that belong to the store itself, besides the record."""

_SELDOM: Final = slice(Record._fields.index("postpone_count"), None)  # what is kept as its fate
_NOTHING: Final[Any] = (None,) * len(Record._fields[_SELDOM])


def too_large(message: Message, beside: int = 0) -> InvalidMessage | None:
    """What is wrong with a message that a document cannot hold, with so many bytes beside it."""
    size = len(message.payload) + sum(len(k) + len(v) for k, v in message.metadata.items()) + beside
    if size <= LARGEST:
        return None
    what = " and what follows it have" if beside else " has"
    return InvalidMessage(
        f"message {message.id!r}{what} {size} bytes, MongoDB stores {LARGEST} at most: "
        "store a reference to the data"
    )


def document_of(message: Message, key: str) -> dict[str, Any]:
    """What is stored of a message: it waits from now on, unless it is a dead letter."""
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
    if record[_SELDOM] != _NOTHING:
        document["fate"] = fate_of(record, key)
    if message.state is State.DEAD:
        document |= {"status": DEAD, "dead": document["place"]}
        if message.event_name == UNREADABLE:  # once, in the store that it comes from
            document["unreadable"] = True
    return document


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
            whole(document["scheduled_at_us"]),
            whole(document["created_at_us"]),
            maybe_whole(get("expires_at_us")),
            get("recurrence"),
            whole(document["next_attempt_at_us"]),
            whole(document["retry_count"]),
            whole(document["occurrence_count"]),
            get("last_error"),
            get("delivery_id"),
            get("trace_context", "").encode(),
            maybe_whole(get("given_at_us")),
        )
        if "fate" in document:
            record = record._replace(**fields_of(document["fate"], document["key"]))
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
