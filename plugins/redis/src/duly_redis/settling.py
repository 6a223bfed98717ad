"""What ends claims, put into the words of ``lua/leases.lua``."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from duly import Message
from duly.moment import to_microseconds
from duly.record import occurrence
from duly.store import Bury, Key, Release, Reschedule, Settle, Settlement
from duly_redis.values import changes_of, fields, raw, score

__all__ = ["buried_series", "words"]

_RECURS: Final = b"*"
_KIND: Final = slice(12, 13)


def buried_series(settles: Sequence[Settle]) -> Sequence[str]:
    """The ids of series of which an occurrence is buried: their messages are needed for it."""
    return [
        _id_of(key)
        for settle in settles
        for key, settlement in settle.exceptions.items()
        if isinstance(settlement, Bury) and _recurs(key)
    ]


def words(settle: Settle, series: dict[str, Message]) -> Sequence[Any]:
    """What a script is told of one settle; ``series`` has the messages that were needed.

    An occurrence of a series that is gone or cannot be read any more is not buried alone.
    """
    exceptions: list[Any] = []
    for key, settlement in settle.exceptions.items():
        exceptions += [_packed(key), _word(key, settlement, series)]
    only = False if settle.only is None else [_packed(key) for key in settle.only]
    return [settle.token, only, exceptions]


def _word(key: Key, settlement: Settlement, series: dict[str, Message]) -> Sequence[Any]:
    match settlement:
        case Release(at):
            return ["release", score(to_microseconds(at))]
        case Reschedule():
            return ["put back", *changes_of(settlement)]
        case Bury(reason, further):
            message = series.get(_id_of(key)) if _recurs(key) else None
            if message is None:
                return ["bury", reason]
            id, _, _, listed, creation, record = fields(occurrence(message, reason), stored=False)
            go_on = False if further is None else changes_of(further)
            return ["bury occurrence", id, listed, creation, record, reason, go_on]


def _packed(key: Key) -> msgspec.Raw:
    assert isinstance(key, bytes), "keys are members"  # noqa: S101  # for the type checker
    return raw(key)


def _recurs(key: Key) -> bool:
    return isinstance(key, bytes) and key[_KIND] == _RECURS


def _id_of(key: Key) -> str:
    assert isinstance(key, bytes), "keys are members"  # noqa: S101  # for the type checker
    return key.partition(b"\n")[2].decode()
