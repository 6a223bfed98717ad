"""The statements, by what they do. ``duly_due`` is called the line here.

Hot ones are single statements with an index for each step; keys of many messages come as a JSON
array, which costs less than one statement for each.
"""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.moment import LAST
from duly.record import Record
from duly.store import SUSPECT_LAPSES

COLUMNS: Final = ", ".join(Record._fields)
"""A record is a row: its fields, in their order, are columns."""

IS_ASIDE: Final = """\
EXISTS (
        SELECT 1 FROM duly_aside
        WHERE duly_aside.event_name = duly_messages.event_name
            AND duly_aside.due_at = duly_messages.due_at
            AND duly_aside.key = duly_messages.key
    )"""

STATE: Final = f"""\
CASE
    WHEN dead > 0 THEN 2
    WHEN EXISTS (
        SELECT 1 FROM duly_due
        WHERE suspect = (lapses >= {SUSPECT_LAPSES})
            AND duly_due.due_at = duly_messages.due_at
            AND duly_due.key = duly_messages.key
    ) THEN 0
    WHEN {IS_ASIDE} THEN 0
    ELSE 1
END"""
"""0: scheduled, 2: dead, 1: neither in a line nor dead, so in somebody's hands."""

# One that knows nothing of successors has settled it: it is over, and what follows is to come.
IS_OVER: Final = """\
CASE
    WHEN successor IS NOT NULL AND json_valid(successor)
    THEN coalesce(scheduled_at > json_extract(successor, '$.cut'), 0)
    ELSE 0
END"""

# --- storing

LAST_KEY: Final = "SELECT coalesce(max(key), 0) FROM duly_messages"

INSERT: Final = f"""\
INSERT INTO duly_messages (due_at, {COLUMNS})
VALUES ({", ".join("?" * (1 + len(Record._fields)))})"""

INSERT_DEAD: Final = f"""\
INSERT INTO duly_messages (dead, due_at, {COLUMNS})
VALUES (1, {", ".join("?" * (1 + len(Record._fields)))})"""

REMOVE_NEW: Final = "DELETE FROM duly_messages WHERE key > ?"

LINE_UP_NEW: Final = """\
INSERT INTO duly_due (suspect, due_at, key)
SELECT 0, due_at, key FROM duly_messages WHERE key > ? AND dead = 0"""

LINE_UP_ONE: Final = "INSERT INTO duly_due (suspect, due_at, key) VALUES (0, ?, ?)"

LINE_UP: Final = f"""\
INSERT INTO duly_due (suspect, due_at, key)
SELECT lapses >= {SUSPECT_LAPSES}, due_at, key FROM duly_messages
WHERE key IN (SELECT value FROM json_each(?))"""

LEAVE_LINE: Final = f"""\
DELETE FROM duly_due WHERE suspect = (? >= {SUSPECT_LAPSES}) AND due_at = ? AND key = ?"""

FIND: Final = f"""\
SELECT key, due_at, lapses, created_at, given_at, {STATE}
FROM duly_messages WHERE id = ?"""

IS_TAKEN: Final = "SELECT 1 FROM duly_messages WHERE id = ?"

IS_TAKEN_BY_ANOTHER: Final = f"{IS_TAKEN} AND key <> ?"

SCHEDULED_AT: Final = "SELECT scheduled_at FROM duly_messages WHERE key = ?"

RENAME: Final = f"""\
UPDATE duly_messages
SET given_at = coalesce(given_at, created_at), created_at = created_at + 1
WHERE key = ? AND recurrence IS NOT NULL AND scheduled_at <> ? AND created_at < {LAST}"""
"""Gives new names to the fires of a series that is moved to another moment."""

REMOVE: Final = "DELETE FROM duly_messages WHERE key = ?"

# The old row makes way for the new one, which gets a key of its own.
MOVE: Final = """\
INSERT OR REPLACE INTO duly_messages (
    due_at, format, id, event_name, payload, metadata, scheduled_at, created_at, expires_at,
    recurrence, next_attempt_at, retry_count, occurrence_count, delivery_id, trace_context,
    given_at, declared_by, generation
)
SELECT ?, format, id, event_name, payload, metadata, ?, created_at, expires_at,
    recurrence, ?, 0, occurrence_count, delivery_id, trace_context, given_at, declared_by,
    generation
FROM duly_messages WHERE key = ?"""

# --- claiming

HEADS: Final = """\
SELECT (SELECT min(due_at) FROM duly_due WHERE suspect = 0),
    (SELECT min(due_at) FROM duly_due WHERE suspect = 1)"""

FIRST_END: Final = """\
SELECT expires_at FROM duly_leases WHERE token <> ? ORDER BY expires_at LIMIT 1"""

FIRST_DUE: Final = """\
SELECT due_at, key FROM duly_due WHERE suspect = ? AND due_at <= ? ORDER BY due_at, key LIMIT 1"""

# CROSS JOIN: it reads along the line, never through the table of messages.
TAKE: Final = f"""\
SELECT duly_due.due_at, duly_due.key, lapses, {IS_OVER}, {COLUMNS}
FROM duly_due CROSS JOIN duly_messages ON duly_messages.key = duly_due.key
WHERE suspect = ? AND duly_due.due_at <= ?
ORDER BY duly_due.due_at, duly_due.key LIMIT ?"""

# All up to a place, so also entries whose message somebody has removed.
LEAVE_LINE_UP_TO: Final = "DELETE FROM duly_due WHERE suspect = ? AND (due_at, key) <= (?, ?)"

LEASE: Final = "INSERT INTO duly_leases (token, expires_at, owner, keys) VALUES (?, ?, ?, ?)"

ANY_LAPSED: Final = "SELECT 1 FROM duly_leases WHERE expires_at <= ? LIMIT 1"

LAPSED_KEYS: Final = """\
SELECT json_group_array(value) FROM duly_leases, json_each(keys) WHERE expires_at <= ?"""

REMOVE_LAPSED: Final = "DELETE FROM duly_leases WHERE expires_at <= ?"

COUNT_LAPSE: Final = """\
UPDATE duly_messages SET lapses = lapses + 1 WHERE key IN (SELECT value FROM json_each(?))"""

RENEW: Final = "UPDATE duly_leases SET expires_at = ? WHERE token = ? AND expires_at > ?"

# Leases are few, one for each batch in hand: no index on their owners.
HELD_BY: Final = """\
SELECT count(*) FROM duly_leases, json_each(keys)
WHERE owner = ? AND expires_at > ?
    AND EXISTS (SELECT 1 FROM duly_messages WHERE duly_messages.key = value)"""

END_LEASES_OF: Final = "UPDATE duly_leases SET expires_at = ? WHERE owner = ? AND expires_at > ?"

GONE: Final = """\
SELECT value FROM duly_leases, json_each(keys)
WHERE token = ? AND NOT EXISTS (SELECT 1 FROM duly_messages WHERE duly_messages.key = value)"""

# The row stays as it was found. Only an id that is not text is replaced, since purging needs one.
SET_ASIDE: Final = "UPDATE duly_messages SET dead = 2, id = ? WHERE key = ?"

POSTPONE: Final = """\
UPDATE duly_messages SET due_at = ? WHERE key IN (SELECT value FROM json_each(?))"""

# --- settling

HELD: Final = "SELECT keys FROM duly_leases WHERE token = ? AND expires_at > ?"

END_LEASE: Final = "DELETE FROM duly_leases WHERE token = ?"

KEEP_IN_LEASE: Final = "UPDATE duly_leases SET keys = ? WHERE token = ?"

REMOVE_ALL: Final = "DELETE FROM duly_messages WHERE key IN (SELECT value FROM json_each(?))"

# Most are released at their old place, and then no payload is rewritten.
RELEASE: Final = "UPDATE duly_messages SET due_at = ? WHERE key = ? AND due_at <> ?"

RESCHEDULE: Final = """\
UPDATE duly_messages
SET due_at = ?, next_attempt_at = ?, scheduled_at = ?, retry_count = ?, occurrence_count = ?,
    last_error = ?, postpone_count = ?, put_back = ?, format = max(format, ?), lapses = 0
WHERE key = ?"""

BURY: Final = """\
UPDATE duly_messages SET dead = 1, last_error = ?, error_class = ?, died_at = ? WHERE key = ?"""

LOAD: Final = f"""\
SELECT key, {COLUMNS} FROM duly_messages WHERE key IN (SELECT value FROM json_each(?))"""

# --- listing

SHOWN: Final = f"key, {STATE}, {COLUMNS}"

# A value that is no payload stays as it is, so that the record still shows as unreadable.
SHOWN_WITHOUT_PAYLOAD: Final = SHOWN.replace(
    " payload,", " CASE typeof(payload) WHEN 'blob' THEN x'' ELSE payload END,"
)

GET: Final = f"SELECT {SHOWN} FROM duly_messages WHERE id = ?"

# One statement, so that state and lease are of one moment. Leases are few, one for each batch in
# hand, and are looked at for what is claimed alone.
WHERE: Final = f"""\
SELECT state, due_at, lapses, owner, expires_at, successor, key, aside
FROM (
    SELECT key, due_at, lapses, successor, {STATE} AS state, {IS_ASIDE} AS aside
    FROM duly_messages WHERE id = ?
) AS found
LEFT JOIN duly_leases ON state = 1
    AND EXISTS (SELECT 1 FROM json_each(keys) WHERE value = found.key)
LIMIT 1"""

# Indexes are named, so that no plan sorts a million messages for the first ten of them.
LIST_BY_TIME: Final = "FROM duly_messages INDEXED BY duly_messages_by_time"
LIST_BY_NAME: Final = "FROM duly_messages INDEXED BY duly_messages_by_name"
LIST_DEAD: Final = "FROM duly_messages INDEXED BY duly_messages_dead"
LIST_CLAIMED: Final = "FROM duly_messages"

IN_LEASES: Final = "key IN (SELECT value FROM duly_leases, json_each(keys))"

STATS: Final = f"""\
SELECT
    (SELECT count(*) FROM duly_due),
    (SELECT count(*) FROM duly_messages WHERE {IN_LEASES}),
    (SELECT count(*) FROM duly_messages WHERE dead > 0),
    (SELECT min(due_at) FROM duly_due WHERE suspect = 0),
    (SELECT min(due_at) FROM duly_due WHERE suspect = 1),
    (SELECT min(due_at) FROM duly_due WHERE suspect = 0 AND due_at > ?),
    (SELECT min(due_at) FROM duly_due WHERE suspect = 1 AND due_at > ?)"""
