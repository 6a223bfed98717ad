"""The statements about sidings: what stands aside, by event name."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly_sqlite import sql

ANY_ASIDE: Final = "SELECT 1 FROM duly_aside LIMIT 1"

MARKED: Final = "SELECT 1 FROM duly_marks WHERE name = 'lines'"

MARK: Final = "INSERT OR IGNORE INTO duly_marks (name) VALUES ('lines')"
"""Whoever claims from now on finds what stands aside, so messages may be moved there."""

NEXT_SIDING: Final = """\
SELECT event_name, due_at FROM duly_aside
WHERE event_name >= ? ORDER BY event_name, due_at LIMIT 1"""

HAS_SIDING: Final = "SELECT 1 FROM duly_aside WHERE event_name = ? LIMIT 1"

FIRST_ASIDE: Final = """\
SELECT due_at, key FROM duly_aside
WHERE event_name = ? AND due_at <= ? ORDER BY due_at, key LIMIT ?"""

LEAVE_SIDING_UP_TO: Final = """\
DELETE FROM duly_aside WHERE event_name = ? AND (due_at, key) <= (?, ?)"""

LEAVE_SIDING: Final = """\
DELETE FROM duly_aside
WHERE event_name = (SELECT event_name FROM duly_messages WHERE key = ?)
    AND due_at = ? AND key = ?"""

MOVE_ASIDE: Final = "INSERT OR IGNORE INTO duly_aside (event_name, due_at, key) VALUES (?, ?, ?)"

# Of the recurrence no more is read than that there is one: it stands behind the payload.
MET: Final = """\
SELECT duly_due.due_at, duly_due.key, event_name, typeof(recurrence) <> 'null'
FROM duly_due CROSS JOIN duly_messages ON duly_messages.key = duly_due.key
WHERE suspect = ? AND duly_due.due_at <= ? AND (duly_due.due_at, duly_due.key) > (?, ?)
ORDER BY duly_due.due_at, duly_due.key LIMIT ?"""

TAKEN: Final = f"""\
SELECT due_at, key, lapses, {sql.IS_OVER}, {sql.COLUMNS}
FROM duly_messages WHERE key IN (SELECT value FROM json_each(?))"""

STATS: Final = "SELECT count(*), min(due_at) FROM duly_aside"
