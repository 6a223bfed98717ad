"""Whole numbers and moments, as documents have them.

Each moment is in a document twice: as a date for people, in whole milliseconds, and exactly, in
microseconds since 1970 UTC, in a field whose name ends with ``_us``.
"""

from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.int64 import Int64

__all__ = ["maybe_whole", "moments", "whole"]


def moments(**microseconds: int) -> dict[str, Any]:
    """The two fields of each moment."""
    fields: dict[str, Any] = {}
    for name, value in microseconds.items():
        fields[name] = DatetimeMS(value // 1000)
        fields[f"{name}_us"] = Int64(value)
    return fields


def whole(value: object) -> int:
    """A number that was read, as Python's own.

    Raises:
        TypeError: it is no whole number.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r:.50} is not a whole number")
    return int(value)


def maybe_whole(value: object) -> int | None:
    """The same, None for None."""
    return None if value is None else whole(value)
