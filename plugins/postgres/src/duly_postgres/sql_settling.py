"""The statements that end claims."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import Record
from duly_postgres.columns import COLUMNS, NOW, SOON, SUSPECT

__all__ = ["HOLD", "INSERT_DEAD", "IS_TAKEN", "LOAD", "SETTLE"]

# With FOR UPDATE, here and below: who cancels a message meanwhile goes first or last, so that no
# place in the line is left of one that is gone.
SETTLE: Final = f"""\
WITH held AS MATERIALIZED (
    SELECT keys FROM {{leases}} WHERE token = $2 AND expires_at > {NOW} FOR UPDATE
), settled AS MATERIALIZED (
    SELECT key FROM held, unnest(held.keys) AS key WHERE $3::bigint[] IS NULL OR key = ANY ($3)
), narrowed AS (
    UPDATE {{leases}} SET keys = ARRAY(
        SELECT key FROM unnest(keys) AS key WHERE key <> ALL ($3)
    )
    WHERE token = $2 AND $3 IS NOT NULL AND EXISTS (SELECT FROM settled)
), ended AS (
    DELETE FROM {{leases}} WHERE token = $2 AND $3 IS NULL AND EXISTS (SELECT FROM held)
), delivered AS (
    DELETE FROM {{messages}} WHERE key = ANY (ARRAY(
        SELECT key FROM settled WHERE key <> ALL ($4::bigint[])
    ))
), released AS MATERIALIZED (
    SELECT m.key, r.at, {SUSPECT} AS suspect
    FROM unnest($5::bigint[], $6::timestamptz[]) AS r (key, at)
        JOIN {{messages}} AS m ON m.key = r.key
    WHERE r.key = ANY (ARRAY(SELECT key FROM settled)) FOR UPDATE OF m
), moved AS (
    UPDATE {{messages}} AS m SET due_at = r.at
    FROM released AS r WHERE m.key = r.key AND m.due_at <> r.at
), put_back AS (
    UPDATE {{messages}} AS m SET
        due_at = r.at, next_attempt_at = r.at, scheduled_at = r.scheduled_at,
        retry_count = r.retry_count, occurrence_count = r.occurrence_count,
        last_error = r.last_error, lapses = 0
    FROM unnest(
        $7::bigint[], $8::timestamptz[], $9::timestamptz[], $10::bigint[], $11::bigint[],
        $12::text[]
    ) AS r (key, at, scheduled_at, retry_count, occurrence_count, last_error)
    WHERE m.key = r.key AND r.key = ANY (ARRAY(SELECT key FROM settled))
    RETURNING m.key, m.due_at
), buried AS (
    UPDATE {{messages}} AS m SET dead = 1, last_error = r.reason
    FROM unnest($13::bigint[], $14::text[]) AS r (key, reason)
    WHERE m.key = r.key AND r.key = ANY (ARRAY(SELECT key FROM settled))
), lined_up AS (
    INSERT INTO {{due}} (suspect, due_at, key)
    SELECT suspect, at, key FROM released UNION ALL SELECT false, due_at, key FROM put_back
    RETURNING due_at
)
SELECT
    EXISTS (SELECT FROM held) AS valid,
    coalesce((SELECT min(due_at) <= {NOW} + {SOON} FROM lined_up), false) AS soon"""
"""Settles a lease $2, or just the keys $3 of it.

All but $4 were delivered. $5 and $6 are released, $7 to $12 put back with new counters, $13 and
$14 buried: parallel arrays, keys first.
"""

HOLD: Final = f"SELECT keys FROM {{leases}} WHERE token = $2 AND expires_at > {NOW} FOR UPDATE"

LOAD: Final = f"""\
SELECT m.key, {COLUMNS} FROM {{messages}} AS m WHERE m.key = ANY ($1::bigint[])
ORDER BY m.key FOR UPDATE"""

IS_TAKEN: Final = "SELECT FROM {messages} WHERE id = $1"

INSERT_DEAD: Final = f"""\
INSERT INTO {{messages}} (dead, due_at, {", ".join(Record._fields)})
VALUES (1, $1, {", ".join(f"${n + 2}" for n in range(len(Record._fields)))})"""
