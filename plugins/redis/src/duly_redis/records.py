"""From messages to what Redis keeps, texts for the scripts and then the record, and back.

``lua/shard.lua`` tells what a message looks like in Redis. What scripts need not know is one
MessagePack array.
"""

from typing import Final, NamedTuple

import msgspec

from duly import Message, State
from duly.message import with_changes
from duly.moment import from_microseconds, to_microseconds
from duly.record import (
    NewerRecord,
    Record,
    UnreadableRecord,
    from_record,
    moved,
    to_record,
    unreadable,
)
from duly.store import Reschedule
from duly_redis.packing import moment, raw, score

__all__ = [
    "STATES",
    "Kept",
    "changes_of",
    "death_of",
    "fields",
    "load",
    "rescheduled",
    "show",
]

STATES: Final = (State.SCHEDULED, State.CLAIMED, State.DEAD)
"""By the number that scripts use."""

_FIRST_WIDTH: Final = 11  # fields of a record of format 1
_LINE: Final = 12  # digits of its number, in front of the kind and the event name
_RECURS: Final = b"*"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


class Kept(NamedTuple):
    """What a script read of one message."""

    id: str
    value: bytes
    state: int
    listed: bytes | None
    changes: bytes | None
    reason: bytes | None
    death: bytes | None = None

    @property
    def line(self) -> bytes:
        """The name of its scheduling, without the id."""
        return self.value.partition(b"\n")[0]

    @property
    def recurs(self) -> bool:
        """Whether it is a series."""
        return self.value[_LINE : _LINE + 1] == _RECURS


def fields(message: Message, least: int = 1) -> tuple[str, str, int, int, str, msgspec.Raw]:
    """The arguments of ``put.lua``: id, kind and event name, two times, creation, record.

    Its format is ``least`` or higher.
    """
    record = to_record(message)
    event_name, version = record.event_name, max(record.format, least)
    packed = _encode(
        (version, record.payload, record.metadata, record.scheduled_at, record.expires_at,
         record.recurrence, record.next_attempt_at, *record[10:13], record.trace_context,
         *(record[16:18] if version > 1 else ()))
    )  # fmt: skip
    return (
        record.id,
        f"-{event_name}" if record.recurrence is None else f"*{event_name}",
        score(record.next_attempt_at),
        score(record.scheduled_at),
        _creation(record),
        raw(packed),
    )


def _creation(record: Record) -> str:
    """The line of its creation: see ``lua/put.lua``."""
    if record.given_at is not None:
        return f"{record.created_at}\t{record.delivery_id or ''}\t{record.given_at}"
    if record.delivery_id is not None:
        return f"{record.created_at}\t{record.delivery_id}"
    return str(record.created_at)


def changes_of(reschedule: Reschedule) -> tuple[int, int, msgspec.Raw, int]:
    """The arguments of scripts for one: due time, time for the index, what changes, format.

    What changes is an array of five, in which readers of format 1 look for the time alone: what
    they know nothing of stands with the last error.
    """
    counters = reschedule.counters
    due_at = to_microseconds(reschedule.next_attempt_at)
    listed = to_microseconds(counters.scheduled_at)
    last: str | tuple[str | None, int, int | None] | None = counters.last_error
    if counters.format > 1:
        last = counters.last_error, counters.postpone_count, 1 if counters.put_back else None
    packed = _encode((due_at, listed, counters.retry_count, counters.occurrence_count, last))
    return score(due_at), score(listed), raw(packed), counters.format


def death_of(letter: Message) -> str:
    """What is kept of the death of a dead letter: see ``lua/burying.lua``."""
    died_at, error_class = letter.died_at, letter.error_class
    moment = "" if died_at is None else str(to_microseconds(died_at))
    return moment if error_class is None else f"{moment} {error_class}"


def rescheduled(kept: Kept, at: int | None) -> tuple[int, msgspec.Raw, str]:
    """The exact due time, the changes and the new creation of a moved message, "" for the old one.

    With None it keeps its time.
    """
    due_at, occurrences = at, None
    if kept.changes is not None:
        _, listed, _, occurrences, _ = _decode(kept.changes)
        due_at = listed if at is None else at
    if due_at is None:
        try:
            due_at = to_microseconds(load(kept.id, kept.value).scheduled_at)
        except UnreadableRecord:
            due_at = moment(kept.listed or b"0")
    changes = raw(_encode((due_at, due_at, 0, occurrences, None)))
    return due_at, changes, _creation_when_moved(kept, due_at)


def _creation_when_moved(kept: Kept, at: int) -> str:
    if not kept.recurs:
        return ""
    try:
        message = load(kept.id, kept.value, kept.changes)
    except UnreadableRecord:
        return ""
    after = moved(message, from_microseconds(at))
    return "" if after.created_at == message.created_at else _creation(to_record(after))


def load(
    id: str,
    value: bytes,
    changes: bytes | None = None,
    state: State = State.SCHEDULED,
    *,
    reason: bytes | None = None,
    death: bytes | None = None,
) -> Message:
    """The message kept under an id, with its changes, why it is dead, and what is kept of that.

    Raises:
        NewerRecord: its format is newer than this version reads.
        UnreadableRecord: it is no record.
    """
    try:
        line, creation, packed = value.split(b"\n", 2)
        created, _, more = creation.partition(b"\t")
        record = _decode(packed)
        known_as = given_at = postponed = put_back = died_at = error_class = None
        if len(record) > _FIRST_WIDTH:
            *record, postponed, put_back = record
        (
            version, payload, metadata, scheduled_at, expires_at, recurrence, next_attempt_at,
            retries, occurrences, last_error, trace_context,
        ) = record  # fmt: skip
        event_name, created_at = line[_LINE + 1 :].decode(), int(created)
        if changes is not None:
            next_attempt_at, scheduled_at, retries, counted, last_error = _decode(changes)
            occurrences = occurrences if counted is None else counted
            postponed = put_back = None
            if type(last_error) is list:
                last_error, postponed, put_back = last_error
        if reason is not None:
            last_error = reason.decode()
        if death is not None:
            died_at, error_class = _read_death(death)
        if more:
            delivery_id, _, given = more.partition(b"\t")
            known_as = delivery_id.decode() or None
            given_at = int(given) if given else None
    except (ValueError, TypeError, msgspec.DecodeError) as error:
        raise _unknown(value, str(error)) from error
    return from_record(
        (
            version, id, event_name, payload, metadata, scheduled_at, created_at, expires_at,
            recurrence, next_attempt_at, retries, occurrences, last_error, known_as, trace_context,
            given_at, postponed, put_back, died_at, error_class,
        ),
        state,
    )  # fmt: skip


def _read_death(death: bytes) -> tuple[int | None, str | None]:
    moment, space, error_class = death.decode().partition(" ")
    return int(moment) if moment else None, error_class if space else None


def show(kept: Kept) -> Message:
    """What is listed for a message, whatever is in it."""
    state = STATES[kept.state]
    try:
        return load(kept.id, kept.value, kept.changes, state, reason=kept.reason, death=kept.death)
    except NewerRecord as error:
        shown = unreadable(kept.id, kept.value, str(error), state=state)
    except UnreadableRecord as error:
        shown = unreadable(kept.id, kept.value, str(error))
    at = from_microseconds(moment(kept.listed or b"0"))
    return with_changes(shown, scheduled_at=at, next_attempt_at=at)


def _unknown(value: bytes, reason: str) -> UnreadableRecord:
    """The error for something that does not look like a record of this version."""
    try:
        from_record(_decode(value.split(b"\n", 2)[2])[:1], State.SCHEDULED)
    except NewerRecord as error:
        return error
    except (UnreadableRecord, LookupError, TypeError, msgspec.DecodeError):
        pass
    return UnreadableRecord(f"record cannot be read: {reason}")
