"""Message to flat record and back: how a message is kept, once for all stores.

A record is a tuple of text, bytes, whole numbers and None, so that a store can keep it as
columns or pack it as one value. Moments are microseconds since 1970-01-01 UTC.
"""

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from duly._values.attempts import without_attempt
from duly._values.naming import given_at, moved, occurrence, renamed, with_next_id
from duly._values.plain import encodable, shown
from duly._values.recurrence_text import recurrence_of, recurrence_text
from duly._values.successor_text import successor_of, successor_text
from duly.errors import StoreError
from duly.message import UNREADABLE, UNTOUCHED, Message, State, restore
from duly.moment import FIRST, LAST, from_microseconds, to_microseconds

__all__ = [
    "FORMAT",
    "NewerRecord",
    "Record",
    "UnreadableRecord",
    "encodable",
    "from_record",
    "given_at",
    "moved",
    "occurrence",
    "renamed",
    "successor_of",
    "successor_text",
    "to_record",
    "unreadable",
    "with_next_id",
]

FORMAT: Final = 2
"""The newest record format that this version writes; it reads this one and all before it.

Format 2 is written where a reader of format 1 would go wrong: of a message that was postponed, and
of a recurrence with ``jitter`` or an anchor.
"""

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


class UnreadableRecord(StoreError):
    """A record that cannot be a message: damaged, or written by something else."""


class NewerRecord(UnreadableRecord):
    """A record of a format newer than :data:`FORMAT`: to be left for a newer reader."""


class Record(NamedTuple):
    """A message as it is kept, in the order of these fields.

    ``metadata`` and ``trace_context`` are JSON objects as bytes, empty when there is nothing;
    ``recurrence`` is a JSON object as text. ``delivery_id`` is None unless it differs from what
    :attr:`Message.delivery_id` would work out, ``given_at`` unless ``created_at`` was moved: it is
    the one that was given. What stands behind that is None where there is nothing to tell:
    ``put_back`` is 1 or None. State and lapses are the store's own business.
    """

    format: int
    id: str
    event_name: str
    payload: bytes
    metadata: bytes
    scheduled_at: int
    created_at: int
    expires_at: int | None
    recurrence: str | None
    next_attempt_at: int
    retry_count: int
    occurrence_count: int
    last_error: str | None
    delivery_id: str | None
    trace_context: bytes
    given_at: int | None = None
    postpone_count: int | None = None
    put_back: int | None = None
    died_at: int | None = None
    error_class: str | None = None


_FIRST_WIDTH: Final = 16  # fields, of format 1


def to_record(message: Message) -> Record:
    """The record of a message."""
    scheduled_at = to_microseconds(message.scheduled_at)
    expires_at, recurrence = message.expires_at, message.recurrence
    given_at, died_at = message._given_at, message.died_at  # noqa: SLF001  # as below
    postpone_count, put_back = message.postpone_count, message._put_back  # noqa: SLF001  # as below
    version = 1 if recurrence is None else recurrence.format
    return Record(
        2 if postpone_count or put_back else version,
        message.id,
        message.event_name,
        message.payload,
        _pack(message.metadata),
        scheduled_at,
        to_microseconds(message.created_at),
        None if expires_at is None else to_microseconds(expires_at),
        None if recurrence is None else recurrence_text(recurrence),
        scheduled_at
        if message.next_attempt_at is message.scheduled_at
        else to_microseconds(message.next_attempt_at),
        message.retry_count,
        message.occurrence_count,
        message.last_error,
        message._delivery_id,  # noqa: SLF001  # a record has all that a message has
        _pack(message.trace_context),
        None if given_at is None else to_microseconds(given_at),
        postpone_count or None,
        1 if put_back else None,
        None if died_at is None else to_microseconds(died_at),
        message.error_class,
    )


def from_record(record: Sequence[Any], state: State) -> Message:
    """The message of a record, given as any sequence in the order of :class:`Record`.

    One of format 1 may end with ``given_at``. What duly wrote is not validated again; what cannot
    be a message is found out.

    Raises:
        NewerRecord: its format is newer than :data:`FORMAT`.
        UnreadableRecord: it is no record.
    """
    try:
        if len(record) == _FIRST_WIDTH:
            record = (*record, None, None, None, None)
        (
            version, id, event_name, payload, metadata, scheduled_at, created_at, expires_at,
            recurrence, next_attempt_at, retry_count, occurrence_count, last_error, delivery_id,
            trace_context, given_at, postpone_count, put_back, died_at, error_class,
        ) = record  # fmt: skip
        if version != 1 and version != 2:  # noqa: PLR1714  # for each message that is claimed
            raise _unknown(version)
        moments = (scheduled_at, created_at, next_attempt_at)  # in the order of MOMENTS
        if (
            type(id) is not str
            or type(event_name) is not str
            or type(payload) is not bytes
            or type(retry_count) is not int
            or type(occurrence_count) is not int
            or (last_error is not None and type(last_error) is not str)
            or (delivery_id is not None and type(delivery_id) is not str)
        ):
            raise UnreadableRecord("a field of the record is of the wrong type")
        for moment in moments:
            if type(moment) is not int or not FIRST <= moment <= LAST:
                raise UnreadableRecord(f"record cannot be read: no moment is {shown(moment)}")
        fields = {
            "event_name": event_name,
            "payload": payload,
            "_moments": moments,
            "id": id,
            "metadata": _unpack(metadata) if metadata else _NOTHING,
            "recurrence": None if recurrence is None else recurrence_of(recurrence),
            "expires_at": None if expires_at is None else from_microseconds(expires_at),
            "retry_count": retry_count,
            "occurrence_count": occurrence_count,
            "state": state,
            "last_error": last_error,
            "postpone_count": 0,  # every envelope asks for it: looked up elsewhere it costs more
            "trace_context": _unpack(trace_context) if trace_context else _NOTHING,
            "_delivery_id": delivery_id,
            "_given_at": None if given_at is None else from_microseconds(given_at),
        }
        if died_at is not None or error_class is not None or put_back or postpone_count:
            fields |= _seldom(postpone_count, put_back, died_at, error_class)
        if last_error is not None:
            fields["last_error"], fields["_last_attempt"] = without_attempt(last_error)
        return restore(fields)
    except (TypeError, ValueError, OverflowError, KeyError, RecursionError) as error:
        # A newer format may have more fields, or others.
        raise _unknown(_version(record), f"record cannot be read: {error}") from error


def _seldom(
    postpone_count: object, put_back: object, died_at: Any, error_class: object
) -> Mapping[str, Any]:
    for number in (postpone_count, put_back):
        if number is not None and type(number) is not int:
            raise UnreadableRecord(f"record cannot be read: {shown(number)} is no count")
    if error_class is not None and type(error_class) is not str:
        raise UnreadableRecord("a field of the record is of the wrong type")
    return {
        "postpone_count": postpone_count or 0,
        "_put_back": bool(put_back),
        "died_at": None if died_at is None else from_microseconds(died_at),
        "error_class": error_class,
    }


def unreadable(id: str, raw: bytes, reason: str, *, state: State = State.DEAD) -> Message:
    """What a record that cannot be read is listed as: its raw bytes and the reason."""
    moment = from_microseconds(0)
    return restore(
        {
            "event_name": UNREADABLE,
            "payload": raw,
            "scheduled_at": moment,
            "id": id,
            "metadata": _NOTHING,
            "recurrence": None,
            "expires_at": None,
            "created_at": moment,
            "next_attempt_at": moment,
            "trace_context": _NOTHING,
            "_delivery_id": None,
            "_given_at": None,
            **UNTOUCHED,
            "state": state,
            "last_error": reason[:1024],
        }
    )


def _version(record: object) -> object:
    return record[0] if isinstance(record, Sequence) and record else None


def _unknown(version: object, reason: str | None = None) -> UnreadableRecord:
    if type(version) is int and version > FORMAT:
        return NewerRecord(
            f"record format {shown(version)} is newer than {FORMAT}, the newest this duly reads: "
            "upgrade this host"
        )
    return UnreadableRecord(reason or f"record format {shown(version)} is unknown")


def _pack(texts: Mapping[str, str]) -> bytes:
    if not texts:
        return b""
    return _ENCODER.encode(dict(texts)).encode()


def _unpack(data: bytes) -> Mapping[str, str]:
    texts = json.loads(str(data, "utf-8"))  # of bytes it would first guess the encoding
    if not isinstance(texts, dict) or not all(isinstance(text, str) for text in texts.values()):
        raise UnreadableRecord("metadata is not an object of texts")
    return MappingProxyType(texts)
