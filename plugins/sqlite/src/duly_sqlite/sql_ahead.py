"""The statements that count what is to come, and by event name."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly_sqlite.sql import COLUMNS, IN_LEASES, IS_ASIDE, STATE

_SPAN: Final = """\
(SELECT count(*) FROM (
    SELECT 1 FROM duly_due WHERE suspect = {} AND due_at > ? AND due_at <= ? LIMIT ?
))"""

IN_LINE: Final = f"SELECT {_SPAN.format(0)} + {_SPAN.format(1)}"

ASIDE: Final = "SELECT count(*) FROM (SELECT 1 FROM duly_aside LIMIT ?)"

# CROSS JOIN: it reads along the line. Of the recurrence no more is read than that there is one.
LOOKED_AT: Final = """\
SELECT duly_due.due_at, retry_count > 0 AND typeof(recurrence) = 'null'
FROM duly_due CROSS JOIN duly_messages ON duly_messages.key = duly_due.key
WHERE suspect = ? AND duly_due.due_at <= ?
ORDER BY duly_due.due_at, duly_due.key LIMIT ?"""

_WITHOUT_PAYLOAD: Final = COLUMNS.replace(
    " payload,", " CASE typeof(payload) WHEN 'blob' THEN x'' ELSE payload END,"
)

SERIES: Final = f"""\
SELECT key, {STATE}, due_at, {IS_ASIDE}, successor, {_WITHOUT_PAYLOAD}
FROM duly_messages INDEXED BY duly_messages_series
WHERE recurrence IS NOT NULL AND dead = 0 ORDER BY key LIMIT ?"""

# CROSS JOIN: it reads along the line.
OVERDUE: Final = """\
SELECT event_name, count(*), min(line_due_at),
    EXISTS (SELECT 1 FROM duly_aside WHERE duly_aside.event_name = head.event_name)
FROM (
    SELECT duly_messages.event_name, duly_due.due_at AS line_due_at
    FROM duly_due CROSS JOIN duly_messages ON duly_messages.key = duly_due.key
    WHERE suspect = ? AND duly_due.due_at <= ?
    ORDER BY duly_due.due_at, duly_due.key LIMIT ?
) AS head GROUP BY event_name"""

BETWEEN: Final = f"""\
SELECT duly_due.due_at, duly_due.key, {_WITHOUT_PAYLOAD}
FROM duly_due CROSS JOIN duly_messages ON duly_messages.key = duly_due.key
WHERE suspect = ? AND duly_due.due_at >= ? AND duly_due.due_at <= ?
ORDER BY duly_due.due_at, duly_due.key LIMIT ?"""

# --- by event name; an index is walked from one name to the next, whatever each has

NEXT_NAME: Final = """\
SELECT event_name FROM duly_messages INDEXED BY duly_messages_by_name
WHERE event_name > CAST(? AS TEXT) ORDER BY event_name LIMIT 1"""

CLAIMED: Final = f"SELECT event_name, key FROM duly_messages WHERE {IN_LEASES} AND dead = 0"

# What stands in front of the payload alone, so that that is not read.
OF_NAME: Final = """\
SELECT count(*), sum(dead), sum(held), sum(due AND NOT dead AND NOT held),
    min(CASE WHEN due AND NOT dead AND NOT held THEN due_at END)
FROM (
    SELECT dead > 0 AS dead, due_at <= ? AS due, due_at,
        key IN (SELECT value FROM json_each(?)) AS held
    FROM duly_messages INDEXED BY duly_messages_by_name WHERE event_name = CAST(? AS TEXT) LIMIT ?
)"""

ASIDE_OF_NAME: Final = """\
SELECT count(*) FROM (SELECT 1 FROM duly_aside WHERE event_name = CAST(? AS TEXT) LIMIT ?)"""
