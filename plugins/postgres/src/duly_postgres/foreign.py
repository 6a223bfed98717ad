"""Records through a caller's own connection, whatever codecs it has for moments and bytes.

Moments come as whole microseconds, bytes as text in base64.
"""

import base64
from collections.abc import Sequence
from typing import Any, Final

from duly.record import Record
from duly_postgres.columns import IN_YEARS

__all__ = ["FOREIGN_COLUMNS", "microseconds", "native"]

_BYTES: Final = ("payload", "metadata", "trace_context")
_PLACES: Final = tuple(Record._fields.index(name) for name in _BYTES)


def microseconds(moment: str) -> str:
    """An expression for a moment in microseconds since 1970; out of range if its year is."""
    return (
        f"CASE WHEN {IN_YEARS.format(moment)} "
        f"THEN (extract(epoch FROM {moment}) * 1000000)::bigint "
        f"WHEN {moment} IS NOT NULL THEN 9223372036854775807 END"
    )


def _column(name: str) -> str:
    if name in _BYTES:
        return f"encode(m.{name}, 'base64') AS {name}"
    return f"{microseconds(f'm.{name}')} AS {name}" if name.endswith("_at") else f"m.{name}"


FOREIGN_COLUMNS: Final = ", ".join(map(_column, Record._fields))
"""A record, as :func:`native` takes it."""


def native(record: Sequence[Any]) -> Sequence[Any]:
    """The same as a connection of ours would bring it."""
    values = list(record)
    for place in _PLACES:
        values[place] = base64.b64decode(values[place])
    return values
