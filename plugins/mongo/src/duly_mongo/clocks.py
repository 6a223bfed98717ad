"""The store's time, as an expression in the server's statements."""

from typing import Any, Final

from bson.int64 import Int64

from duly.moment import to_microseconds
from duly.store import Clock

__all__ = ["now_expression"]

_SERVERS: Final = {"$multiply": [{"$toLong": "$$NOW"}, Int64(1000)]}
"""Whole milliseconds, rounded down, so that nothing is early."""


def now_expression(clock: Clock | None) -> Any:
    """The present moment in microseconds, worked out by the server when it runs a statement.

    If a ``clock`` is given, it is read here instead.
    """
    return _SERVERS if clock is None else {"$literal": Int64(to_microseconds(clock()))}
