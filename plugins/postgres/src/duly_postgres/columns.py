"""What the statements have in common: the columns of a record, and the store's present moment.

In statements ``{messages}``, ``{due}`` and ``{leases}`` stand for the tables: see
:class:`duly_postgres.names.Names`. ``due`` is called the line here.

Plans are kept, and may have been made when the tables were small, or seemed so: a queue that was
emptied has no rows as far as the planner knows. So rows are found in ways that leave it no choice:
by ``ANY (ARRAY(...))``, by ``LATERAL (... LIMIT 1)`` and by subqueries for single values, each with
one index that serves it, and never by joins, for which the planner might read a whole table.
"""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import FORMAT, Record
from duly.store import SUSPECT_LAPSES

__all__ = [
    "COLUMNS", "IN_LINE", "IN_SIDING", "IN_YEARS", "IS_ASIDE", "MARK", "NEVER", "NOW", "SOON",
    "SORTED_ID", "SUSPECT", "TEXT_NOW",
]  # fmt: skip

COLUMNS: Final = ", ".join(f"m.{name}" for name in Record._fields)
"""A record is a row: its fields, in their order, are columns."""

IN_YEARS: Final = "({0} >= '0001-01-01 00:00:00+00' AND {0} < '10000-01-01 00:00:00+00')"
"""The years 1 to 9999: what can be listed can be sorted and paged."""

NOW: Final = "coalesce($1::timestamptz, statement_timestamp())"
"""The time of the clock given, or the server's; its argument is always the first."""

TEXT_NOW: Final = "coalesce($1::text::timestamptz, statement_timestamp())"
"""The same where the clock's time is given as text."""

NEVER: Final = f"timestamptz '9999-12-31 23:59:{60 - FORMAT}+00'"
"""From here on end the leases that nobody holds and that only keep a noted outcome.

Each ends as many seconds before the year 10000 as the format that its outcome needs: whoever cannot
read that format takes it for the lease of somebody else.
"""

SOON: Final = "interval '5 seconds'"
"""The longest nap of a scheduler: what is due later than that needs no wake-up."""

SORTED_ID: Final = 'id COLLATE "POSIX"'
"""How lists sort by id: like "C", which the column has, but under another name.

Otherwise an index that ends with the id could be taken for one by id, and be read from end to end.
"""

SUSPECT: Final = f"m.lapses >= {SUSPECT_LAPSES}"

IN_LINE: Final = f"""\
LATERAL (
    SELECT d.ctid, d.key FROM {{due}} AS d
    WHERE d.suspect = ({SUSPECT}) AND d.due_at = m.due_at AND d.key = m.key LIMIT 1
) AS d"""
"""The place of a message in the line, where it has one."""

_SIDING: Final = """\
FROM {aside} AS a
    WHERE a.event_name = m.event_name AND a.due_at = m.due_at AND a.key = m.key LIMIT 1"""

IN_SIDING: Final = f"LATERAL (\n    SELECT a.ctid {_SIDING}\n) AS a"
"""The place of a message in the siding of its event name, where it has one."""

IS_ASIDE: Final = f"(SELECT true {_SIDING}) IS NOT NULL"

MARK: Final = "UPDATE {version} SET lines = true"
"""Whoever claims from now on finds what stands aside, so messages may be moved there."""
