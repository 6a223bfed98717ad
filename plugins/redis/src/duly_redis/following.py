"""How what follows a series is kept, and read again: ``lua/following.lua`` tells what it is for."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from duly import Message
from duly.moment import LAST, from_microseconds, to_microseconds
from duly.record import UnreadableRecord
from duly.store import (
    Counters,
    Reschedule,
    Settle,
    Successor,
    plan_settle,
    succeeded,
    to_be_moved,
)
from duly_redis.packing import unraw
from duly_redis.records import changes_of, fields, load

__all__ = ["Follows", "follows_of", "follows_text"]

_COUNT: Final = 8  # the place of the count of fires in a record
_COUNT_OF_CHANGES: Final = 3  # and in what changes
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


class _Head(msgspec.Struct, omit_defaults=True):
    """What scripts know of it.

    ``count`` is how many fires of the series that is there were taken up. Without ``due`` nothing
    follows, else it waits there, and is listed at ``listed``, which may be rounded; ``at`` is not.
    ``event`` is its name, and ``split`` where the count goes in its record. ``once`` puts back the
    latest fire up to the cut, if it was missed and is wanted: due time, time for the index, what
    changes around the count, in hexadecimal digits, and the format.
    """

    cut: int
    count: int
    event: str
    split: int
    at: int | None = None
    due: int | None = None
    listed: int | None = None
    once: tuple[int, int, str, str, int] | None = None


class Follows(msgspec.Struct):
    """What follows a series: as core has it, and the moment at which it will be due."""

    successor: Successor
    due: int | None


def follows_text(message: Message, successor: Successor) -> bytes:
    """What is kept of the successor of this series."""
    becomes = to_be_moved(message, successor)
    _, _, due, listed, _, record = fields(becomes)
    before, behind = _around(unraw(record), _COUNT)
    is_last = succeeded(message, successor, message.occurrence_count) is None
    head = _Head(
        cut=to_microseconds(successor.cut),
        count=message.occurrence_count,
        event=successor.event_name,
        split=len(before),
        at=None if successor.at is None else to_microseconds(successor.at),
        due=None if is_last else due,
        listed=None if is_last else listed,
        once=_once(message, successor),
    )
    return msgspec.json.encode(head) + b"\n" + before + behind


def follows_of(text: bytes) -> Follows:
    """The successor in what is kept.

    Raises:
        UnreadableRecord: it is none.
    """
    try:
        first, _, rest = text.partition(b"\n")
        head = msgspec.json.decode(first, type=_Head)
        record = rest[: head.split] + _encode(head.count) + rest[head.split :]
        line = b"0" * 12 + b"*" + head.event.encode()
        becomes = load("", b"\n".join((line, b"0", record)))
        rule = becomes.recurrence
        if rule is None:
            raise UnreadableRecord("what follows a series is no series")
        successor = Successor(
            cut=from_microseconds(head.cut),
            at=None if head.at is None else from_microseconds(head.at),
            event_name=becomes.event_name,
            payload=becomes.payload,
            metadata=becomes.metadata,
            recurrence=rule,
        )
    except (msgspec.MsgspecError, ValueError, OverflowError) as error:
        raise UnreadableRecord(f"what follows a series cannot be read: {error}") from error
    return Follows(successor, head.due)


def _once(message: Message, successor: Successor) -> tuple[int, int, str, str, int] | None:
    """What is put back when a holder goes beyond the cut without having taken up a fire."""
    beyond = from_microseconds(min(to_microseconds(successor.cut) + 1, LAST))
    told = Reschedule(beyond, Counters(beyond, occurrence_count=message.occurrence_count))
    plan = plan_settle(Settle("", {0: told}), {0}, {0: message}, successors={0: successor})
    missed = plan.rescheduled.get(0)
    if missed is None or missed is told:
        return None
    due, listed, changed, version = changes_of(missed)
    before, behind = _around(unraw(changed), _COUNT_OF_CHANGES)
    return due, listed, before.hex(), behind.hex(), version


def _around(packed: bytes, place: int) -> tuple[bytes, bytes]:
    """What stands before one of the values of an array, and behind it."""
    values: Sequence[Any] = _decode(packed)
    behind = b"".join(_encode(each) for each in values[place + 1 :])
    end = len(packed) - len(behind)
    return packed[: end - len(_encode(values[place]))], behind
