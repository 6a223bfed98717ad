"""Places in line as text that sorts: a moment in microseconds, then a text for equal moments.

BSON dates are whole milliseconds. A place is one value, so that the index on it needs no second
key to bring messages in their order: 19 digits, a hyphen, and a key or an id.
"""

import os
import threading
import time
from datetime import datetime
from typing import Any, Final

from bson.int64 import Int64

from duly.moment import from_microseconds, to_microseconds

__all__ = ["KEY_LENGTH", "after", "after_expression", "as_moment", "moment_of", "new_keys", "place"]

_OFFSET: Final = 2 * 10**18  # makes every moment of the years 1 to 9999 a number of 19 digits
_DIGITS: Final = 19
_EARLIEST, _LATEST = (
    to_microseconds(datetime.fromisoformat(each))
    for each in ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00")
)

KEY_LENGTH: Final = 24
"""Characters of a key: what the store calls one scheduling."""


class _Keys:
    """Makes the keys of one process, for all its threads and event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._process = os.urandom(4).hex()

    def take(self, count: int) -> list[str]:
        with self._lock:
            first = max(self._last + 1, time.time_ns() // 1000)
            self._last = first + count - 1
        return [f"{number:016x}{self._process}" for number in range(first, first + count)]

    def renew(self) -> None:
        """A child makes other keys than its parent."""
        self.__init__()  # type: ignore[misc]  # there is nothing to keep


_keys: Final = _Keys()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keys.renew)


def new_keys(count: int) -> list[str]:
    """Keys never used before; later ones sort after earlier ones, among hosts by their clocks."""
    return _keys.take(count)


def place(microseconds: int, name: str) -> str:
    """The place of a moment, given in microseconds since 1970 UTC."""
    return f"{_OFFSET + microseconds}-{name}"


def after(microseconds: int) -> str:
    """The bound above every place of that moment, below every later one."""
    return str(_OFFSET + microseconds + 1)


def after_expression(microseconds: Any) -> Any:
    """The same bound, worked out by the server from an expression."""
    return {"$toString": {"$add": [Int64(_OFFSET + 1), microseconds]}}


def moment_of(value: object) -> int | None:
    """The moment of a place in microseconds; None for what is no place."""
    if not isinstance(value, str) or value[_DIGITS : _DIGITS + 1] not in ("-", ""):
        return None
    digits = value[:_DIGITS]
    if not (digits.isascii() and digits.isdigit() and len(digits) == _DIGITS):
        return None
    microseconds = int(digits) - _OFFSET
    return microseconds if _EARLIEST <= microseconds <= _LATEST else None


def as_moment(value: object) -> datetime:
    """The moment of a place, 1970 for what is no place."""
    return from_microseconds(moment_of(value) or 0)
