"""What is written many rows at a time: one statement each, whose rows are one JSON document.

A driver that is given row after row hands the interpreter to and fro for each of them; beside an
event loop that is busy that takes milliseconds a row.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from duly_history.tables import ENTRY_COLUMNS, MINUTE_COLUMNS, Tables

__all__ = ["Statements"]

_NUMBERS: Final = {
    "at", "attempt", "due_at", "next_at", "lateness", *MINUTE_COLUMNS,
} - {"event_name"}  # fmt: skip


class Statements:
    """Those of one kind of database; each takes a ``document``, a list of rows."""

    def __init__(self, tables: Tables, *, postgres: bool) -> None:
        self._postgres = postgres
        self.entries = sa.text(self._insert(tables.qualified(tables.entries.name), ENTRY_COLUMNS))
        minutes = tables.qualified(tables.minutes.name)
        more = ", ".join(
            f"{name} = {tables.minutes.name}.{name} + excluded.{name}"
            for name in MINUTE_COLUMNS[2:]
        )
        # The condition is for SQLite, which otherwise takes ON for that of a join.
        self.minutes = sa.text(
            f"{self._insert(minutes, MINUTE_COLUMNS)} WHERE true "
            f"ON CONFLICT (minute, event_name) DO UPDATE SET {more}"
        )

    def _insert(self, table: str, columns: Sequence[str]) -> str:
        source = (
            "jsonb_array_elements(CAST(:document AS jsonb)) AS rows (value)"
            if self._postgres
            else "json_each(:document)"
        )
        taken = ", ".join(self._column(number, name) for number, name in enumerate(columns))
        return f"INSERT INTO {table} ({', '.join(columns)}) SELECT {taken} FROM {source}"  # noqa: S608  # names alone, which were checked

    def _column(self, number: int, name: str) -> str:
        if not self._postgres:
            return f"json_extract(value, '$[{number}]')"
        text = f"value ->> {number}"
        return f"CAST({text} AS bigint)" if name in _NUMBERS else text
