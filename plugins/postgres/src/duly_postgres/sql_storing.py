"""The statements of callers, but for put: cancel, reschedule, get, where, list, stats.

Those for a caller's own transaction pass moments only as text and as whole microseconds, so that
the codecs of that connection do not matter.
"""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly_postgres.columns import COLUMNS, IN_LINE, IN_SIDING, IS_ASIDE, NOW, SOON, TEXT_NOW
from duly_postgres.foreign import FOREIGN_COLUMNS, microseconds

__all__ = [
    "FIND",
    "IN_LEASES",
    "LISTED",
    "LISTED_WITHIN",
    "LISTED_WITHIN_WITHOUT_PAYLOAD",
    "LISTED_WITHOUT_PAYLOAD",
    "MOVE",
    "NOTIFY",
    "NOTIFY_WITHIN",
    "REMOVE",
    "STATE",
    "STATS",
    "WAITING",
    "WAITING_ASIDE",
    "WHERE",
]

# In a fixed order, so that two callers that lock some messages each do not wait for each other; not
# in that of an index, which might then be read from end to end.
FIND: Final = f"""\
WITH held AS MATERIALIZED (
    SELECT key, id, dead > 0 AS dead,
        {microseconds("created_at")} AS created_at,
        {microseconds("coalesce(given_at, created_at)")} AS given_at,
        cut IS NOT NULL AS followed
    FROM {{messages}} WHERE id = ANY ($1::text[]) ORDER BY key + 0 FOR UPDATE
)
SELECT held.key, seen.id, held.dead, held.created_at, held.given_at, held.followed,
    seen.key AS old_key
FROM unnest($1::text[]) AS wanted (id)
CROSS JOIN LATERAL (SELECT id, key FROM {{messages}} WHERE id = wanted.id LIMIT 1) AS seen
LEFT JOIN held ON held.id = seen.id"""
"""What is stored under some ids, held from now on.

A null key: it was there, and somebody else removed it before it could be held. What has replaced
it is not seen by this statement, which began before. (Selecting old_key keeps the planner from an
index that has the id as a later column, which it would read from end to end.)
"""

# Places in the line are made and removed, never altered, so that each stays where it is.
WAITING: Final = f"""\
SELECT key FROM {{due}} WHERE ctid = ANY (ARRAY(
    SELECT d.ctid FROM {{messages}} AS m CROSS JOIN {IN_LINE} WHERE m.key = ANY ($1::bigint[])
)) FOR UPDATE"""
"""Which of some messages, held by FIND, are in the line; they are held there too."""

# A claim that was moving them aside while they were looked for has let go of them only then.
WAITING_ASIDE: Final = f"""\
SELECT key FROM {{aside}} WHERE ctid = ANY (ARRAY(
    SELECT a.ctid FROM {{messages}} AS m CROSS JOIN {IN_SIDING} WHERE m.key = ANY ($1::bigint[])
)) FOR UPDATE"""
"""The same of those in sidings: for what is not in the line, and after that was looked for."""

REMOVE: Final = f"""\
WITH left_line AS (
    DELETE FROM {{due}} WHERE ctid = ANY (ARRAY(
        SELECT d.ctid FROM {{messages}} AS m CROSS JOIN {IN_LINE} WHERE m.key = ANY ($1::bigint[])
    ))
), left_siding AS (
    DELETE FROM {{aside}} WHERE ctid = ANY (ARRAY(
        SELECT a.ctid FROM {{messages}} AS m CROSS JOIN {IN_SIDING} WHERE m.key = ANY ($1::bigint[])
    ))
)
DELETE FROM {{messages}} WHERE key = ANY ($1::bigint[])"""

# A series that moves to another moment may already have fired then, under its former names.
_RENAMED: Final = """\
recurrence IS NOT NULL AND $3::text::timestamptz <> scheduled_at
            AND created_at < '9999-12-31 23:59:59.999999+00'"""

MOVE: Final = f"""\
WITH left_line AS (
    DELETE FROM {{due}} WHERE ctid = ANY (ARRAY(
        SELECT d.ctid FROM {{messages}} AS m CROSS JOIN {IN_LINE} WHERE m.key = $2::bigint
    ))
), left_siding AS (
    DELETE FROM {{aside}} WHERE ctid = ANY (ARRAY(
        SELECT a.ctid FROM {{messages}} AS m CROSS JOIN {IN_SIDING} WHERE m.key = $2::bigint
    ))
), moved AS (
    UPDATE {{messages}} SET
        key = DEFAULT,
        created_at = CASE WHEN {_RENAMED} THEN created_at + interval '1 microsecond'
            ELSE created_at END,
        given_at = CASE WHEN {_RENAMED} THEN coalesce(given_at, created_at) ELSE given_at END,
        due_at = coalesce($3::text::timestamptz, scheduled_at),
        scheduled_at = coalesce($3::text::timestamptz, scheduled_at),
        next_attempt_at = coalesce($3::text::timestamptz, scheduled_at),
        retry_count = 0, lapses = 0, last_error = NULL, dead = 0,
        postpone_count = NULL, put_back = NULL, died_at = NULL, error_class = NULL,
        successor = NULL, cut = NULL
    WHERE key = $2::bigint RETURNING due_at, key
)
INSERT INTO {{due}} (suspect, due_at, key) SELECT false, due_at, key FROM moved
RETURNING due_at <= {TEXT_NOW} + {SOON} AS soon"""
"""Moves a message to the moment $3, or to the one it was scheduled for, under a new key."""

# A note is not worth a wait for the disk.
NOTIFY: Final = """\
SELECT set_config('synchronous_commit', 'off', true), pg_notify('{channel}', '')"""

NOTIFY_WITHIN: Final = "SELECT pg_notify('{channel}', '')"

STATE: Final = f"""\
CASE WHEN m.dead > 0 THEN 2 WHEN d.key IS NOT NULL THEN 0 WHEN {IS_ASIDE} THEN 0 ELSE 1 END"""
"""0: scheduled, 2: dead, 1: neither in a line nor dead, so in somebody's hands."""


def _listed(columns: str) -> str:
    return f"""\
SELECT m.key, {STATE} AS state, {columns}
FROM {{messages}} AS m LEFT JOIN {IN_LINE} ON true"""


LISTED: Final = _listed(COLUMNS)
LISTED_WITHOUT_PAYLOAD: Final = LISTED.replace("m.payload,", "''::bytea AS payload,")

LISTED_WITHIN: Final = _listed(FOREIGN_COLUMNS)
LISTED_WITHIN_WITHOUT_PAYLOAD: Final = LISTED_WITHIN.replace("encode(m.payload, 'base64')", "''")
"""In a caller's own transaction."""

# By the id, the place in the line and then the leases: these are few, one for each batch in
# hand, and are read only for a message that is claimed. In one statement, so that state and owner
# are of the same moment. A lease with an outcome is a note, which nobody holds.
WHERE: Final = f"""\
SELECT {STATE} AS state, m.due_at, m.lapses, held.owner, held.expires_at, m.successor,
    m.dead = 0 AND {IS_ASIDE} AS aside,
    {COLUMNS.replace("m.payload,", "''::bytea AS payload,")}
FROM {{messages}} AS m LEFT JOIN {IN_LINE} ON true LEFT JOIN LATERAL (
    SELECT owner, expires_at FROM {{leases}}
    WHERE m.dead = 0 AND d.key IS NULL AND NOT {IS_ASIDE} AND m.key = ANY (keys)
        AND outcome IS NULL LIMIT 1
) AS held ON true
WHERE m.id = $1::text"""

IN_LEASES: Final = "m.key = ANY (ARRAY(SELECT unnest(keys) FROM {leases}))"

STATS: Final = f"""\
SELECT
    (SELECT count(*) FROM {{due}}) AS in_line,
    (SELECT count(*) FROM {{aside}}) AS aside,
    (SELECT min(due_at) FROM {{aside}}) AS oldest_aside,
    (
        SELECT count(*) FROM {{leases}}, unnest(keys) AS held
        WHERE (SELECT m.key FROM {{messages}} AS m WHERE m.key = held) IS NOT NULL
    ) AS claimed,
    (SELECT count(*) FROM {{messages}} WHERE dead > 0) AS dead,
    ARRAY(
        SELECT (SELECT due_at FROM {{due}} WHERE suspect = lane AND due_at <= {NOW}
            ORDER BY due_at, key LIMIT 1) FROM unnest(ARRAY[false, true]) AS lane
    ) AS oldest,
    ARRAY(
        SELECT (SELECT due_at FROM {{due}} WHERE suspect = lane AND due_at > {NOW}
            ORDER BY due_at, key LIMIT 1) FROM unnest(ARRAY[false, true]) AS lane
    ) AS coming"""
