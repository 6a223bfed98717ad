"""The statements about series that are ensured and declared, and about what follows them.

``cut`` stands beside ``successor`` for statements, which cannot read that.
"""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import Record
from duly_postgres.columns import COLUMNS, IN_LINE, IN_SIDING, NOW, SOON, SUSPECT, TEXT_NOW
from duly_postgres.foreign import FOREIGN_COLUMNS
from duly_postgres.sql_putting import from_json

__all__ = [
    "DECLARE", "DECLARED_BEFORE", "DECLARE_AGAIN", "FLOOR", "FOLLOWED", "HELD_FLOOR", "HOLD_SERIES",
    "PLACE", "RAISE_FLOOR", "REWRITE", "STANDING", "TAKE_BACK",
]  # fmt: skip

FLOOR: Final = "SELECT generation FROM {floors} WHERE declared_by = $1::text"

HELD_FLOOR: Final = f"{FLOOR} FOR SHARE"
"""The same; it stays there until this transaction ends."""

RAISE_FLOOR: Final = """\
INSERT INTO {floors} AS f (declared_by, generation) VALUES ($1::text, $2::bigint)
ON CONFLICT (declared_by) DO UPDATE SET generation = excluded.generation
WHERE f.generation < excluded.generation"""

_SERIES: Final = f"""\
m.key, m.xmin::text AS version, m.dead, m.declared_by, m.generation, m.successor, {COLUMNS}"""

STANDING: Final = f"""\
SELECT {_SERIES} FROM {{messages}} AS m WHERE m.id = ANY ($1::text[])"""
"""What is stored under some ids, which nobody is kept from changing."""

HOLD_SERIES: Final = f"""\
SELECT {_SERIES} FROM {{messages}} AS m WHERE m.id = $1::text FOR UPDATE"""
"""What is stored under an id, held from now on."""

# Each part reads only what the one before has brought: first the place is held, which may take a
# while, and then the clock is read.
PLACE: Final = f"""\
WITH place AS MATERIALIZED (
    SELECT key FROM {{due}} WHERE ctid = ANY (ARRAY(
        SELECT d.ctid FROM {{messages}} AS m CROSS JOIN {IN_LINE} WHERE m.key = $2::bigint
    )) FOR UPDATE
), looked AS MATERIALIZED (
    SELECT EXISTS (SELECT FROM place) AS waits
)
SELECT waits, coalesce($1::timestamptz, clock_timestamp()) AS now FROM looked"""
"""Whether a message, held by HOLD_SERIES, is in the line, where it is held too; then the time."""

FOLLOWED: Final = f"""\
SELECT m.successor, {FOREIGN_COLUMNS} FROM {{messages}} AS m WHERE m.key = $1::bigint"""
"""A series, which is held, and what follows it, also in a caller's own transaction."""

_RECORD: Final = ", ".join(Record._fields)
_DECODED, _TYPED = from_json(Record._fields)

# Who waits gets another place in the line, even one that is just like the old: a claim that began
# before finds the old one gone, and so does not hand out what the message was.
REWRITE: Final = f"""\
WITH given AS MATERIALIZED (
    SELECT {_DECODED} FROM json_to_record($4::text::json) AS given ({_TYPED})
), left_line AS (
    DELETE FROM {{due}} WHERE ctid = ANY (ARRAY(
        SELECT d.ctid FROM {{messages}} AS m CROSS JOIN {IN_LINE} WHERE m.key = $2::bigint
    ))
    RETURNING key
), left_siding AS (
    DELETE FROM {{aside}} WHERE ctid = ANY (ARRAY(
        SELECT a.ctid FROM {{messages}} AS m CROSS JOIN {IN_SIDING} WHERE m.key = $2::bigint
    ))
    RETURNING event_name
), rewritten AS (
    UPDATE {{messages}} AS m SET
        ({_RECORD}) = (SELECT {_RECORD} FROM given),
        due_at = CASE WHEN $3::boolean THEN (SELECT next_attempt_at FROM given) ELSE m.due_at END,
        lapses = CASE WHEN $3 THEN 0 ELSE m.lapses END,
        successor = $5::text, cut = $6::text::timestamptz,
        declared_by = coalesce($7::text, m.declared_by),
        generation = coalesce($8::bigint, m.generation)
    WHERE m.key = $2::bigint
        AND (SELECT count(*) FROM left_line) + (SELECT count(*) FROM left_siding) >= 0
    RETURNING m.key, m.due_at, {SUSPECT} AS suspect, m.event_name, $3 OR NOT EXISTS (
        SELECT FROM left_siding AS s WHERE s.event_name = m.event_name
    ) AS in_line
), lined_up AS (
    INSERT INTO {{due}} (suspect, due_at, key) SELECT suspect, due_at, key FROM rewritten
    WHERE in_line AND (
        $3 OR EXISTS (SELECT FROM left_line) OR EXISTS (SELECT FROM left_siding)
    )
), stays AS (
    INSERT INTO {{aside}} (event_name, due_at, key) SELECT event_name, due_at, key FROM rewritten
    WHERE NOT in_line
)
SELECT $3 AND due_at <= {TEXT_NOW} + {SOON} AS soon FROM rewritten"""
"""Lets a message, which is held, be another: the record $4. If it moves ($3) it waits anew.

It stays aside if it neither moves nor gets another event name.
"""

DECLARE: Final = """\
UPDATE {messages} SET declared_by = $2::text, generation = $3::bigint WHERE key = $1::bigint"""

DECLARE_AGAIN: Final = """\
UPDATE {messages} AS m SET declared_by = $1::text, generation = $2::bigint
WHERE m.key = ANY ($3::bigint[]) AND m.xmin::text = ($4::text[])[array_position($3, m.key)]
RETURNING m.id"""
"""The same for many, of those that nobody has changed since they were read."""

DECLARED_BEFORE: Final = """\
SELECT key, id, dead > 0 AS dead FROM {messages}
WHERE declared_by = $1::text AND generation < $2::bigint ORDER BY key + 0 FOR UPDATE"""
"""What was declared with a lower generation, and still is when it is held."""

TAKE_BACK: Final = f"""\
WITH back AS (
    UPDATE {{messages}} SET dead = 0, lapses = 0, last_error = NULL, error_class = NULL,
        died_at = NULL
    WHERE key = $2::bigint RETURNING due_at, key
)
INSERT INTO {{due}} (suspect, due_at, key) SELECT false, due_at, key FROM back
RETURNING due_at <= {NOW} + {SOON} AS soon"""
"""Lets a series wait again that somebody has made a dead letter who could not read it."""
