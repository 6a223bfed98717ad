"""What is written many rows at a time: one statement each, which takes one document in JSON.

A driver that is given row after row hands the interpreter to and fro for each of them; beside an
event loop that is busy that takes milliseconds a row. So the database takes the document apart,
and counts by the minute too.
"""

from typing import Final

import sqlalchemy as sa

from duly_history.buckets import BOUNDS
from duly_history.tables import ENTRY_COLUMNS, MINUTE_COLUMNS, Tables

__all__ = ["Statements"]

_TYPES: Final = {"at": "bigint", "turn": "bigint", "minute": "bigint", "attempt": "bigint",
                 "lateness": "double precision"}  # fmt: skip
_COMMON: Final = ("at", "turn", "minute", "what", "source")
"""What all rows of a group share, in the order in which it begins; its rows come last."""

_OWN: Final = tuple(name for name in ENTRY_COLUMNS if name not in _COMMON)


class Statements:
    """Those of one kind of database; each takes a ``document``, a list of groups of rows."""

    def __init__(self, tables: Tables, *, postgres: bool) -> None:
        self._postgres = postgres
        entries, minutes = (
            tables.qualified(each.name) for each in (tables.entries, tables.minutes)
        )
        taken = [name if name in _COMMON else self._own(name) for name in ENTRY_COLUMNS]
        self.entries = sa.text(
            f"INSERT INTO {entries} ({', '.join(ENTRY_COLUMNS)}) "
            f"{self._groups} SELECT {', '.join(taken)} {self._rows}"
        )
        counted = [f"count(*) FILTER (WHERE what = '{what}')" for what in MINUTE_COLUMNS[2:5]]
        for low, high in zip((None, *BOUNDS), BOUNDS, strict=False):
            least = "IS NOT NULL" if low is None else f"> {low}"
            most = "" if high == BOUNDS[-1] else f" AND lateness <= {high}"
            counted.append(f"count(*) FILTER (WHERE lateness {least}{most})")
        more = ", ".join(
            f"{each} = {tables.minutes.name}.{each} + excluded.{each}"
            for each in MINUTE_COLUMNS[2:]
        )
        name, lateness = self._own("event_name"), self._own("lateness")
        parts = [
            f"INSERT INTO {minutes} ({', '.join(MINUTE_COLUMNS)}) {self._groups},",
            f"seen AS MATERIALIZED (SELECT minute, what, {name} AS event_name,",
            f"{lateness} AS lateness {self._rows}",
            "WHERE what IN ('delivered', 'failed', 'buried'))",
            f"SELECT minute, event_name, {', '.join(counted)} FROM seen",  # noqa: S608  # as below
            "WHERE event_name IS NOT NULL GROUP BY minute, event_name",
            "ORDER BY minute, event_name",  # so that no two processes wait for each other's rows
            f"ON CONFLICT (minute, event_name) DO UPDATE SET {more}",
        ]
        self.minutes = sa.text(" ".join(parts))

    @property
    def _groups(self) -> str:
        taken = [
            f"{self._taken('value', number, name)} AS {name}" for number, name in enumerate(_COMMON)
        ]
        last = len(_COMMON)
        if self._postgres:
            rows, source = f"value -> {last}", "jsonb_array_elements(CAST(:document AS jsonb))"
        else:
            rows, source = f"json_extract(value, '$[{last}]')", "json_each(:document)"
        taken.append(f"{rows} AS rows_")
        return f"WITH told AS MATERIALIZED (SELECT {', '.join(taken)} FROM {source})"  # noqa: S608  # names alone, which were checked

    @property
    def _rows(self) -> str:
        each = "jsonb_array_elements" if self._postgres else "json_each"
        return f"FROM told CROSS JOIN {each}(told.rows_) AS one"

    def _own(self, name: str) -> str:
        return self._taken("one.value", _OWN.index(name), name)

    def _taken(self, value: str, number: int, name: str) -> str:
        if not self._postgres:
            return f"json_extract({value}, '$[{number}]')"
        kind: str | None = _TYPES.get(name)
        return f"CAST({value} ->> {number} AS {kind})" if kind else f"({value} ->> {number})"
