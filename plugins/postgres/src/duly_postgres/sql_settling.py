"""The statements that end claims."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import Record
from duly_postgres.columns import COLUMNS, NEVER, NOW, SOON, SUSPECT

__all__ = ["HOLD", "INSERT_DEAD", "IS_TAKEN", "LOAD", "SETTLE"]

# With FOR UPDATE, here and below: a concurrent cancel comes either before or after, so that no
# place in the line is left of a message that is gone.
SETTLE: Final = f"""\
WITH held AS MATERIALIZED (
    SELECT keys FROM {{leases}} WHERE token = $2 AND expires_at > {NOW} FOR UPDATE
), watched AS MATERIALIZED (
    SELECT cut FROM {{messages}} WHERE key = ANY (ARRAY(
        SELECT key FROM held, unnest(held.keys) AS key WHERE key = ANY ($19::bigint[])
    ))
    ORDER BY key + 0 FOR UPDATE
), followed AS MATERIALIZED (
    SELECT FROM watched WHERE cut IS NOT NULL
), settled AS MATERIALIZED (
    SELECT key FROM held, unnest(held.keys) AS key
    WHERE ($3::bigint[] IS NULL OR key = ANY ($3)) AND NOT EXISTS (SELECT FROM followed)
), narrowed AS (
    UPDATE {{leases}} SET keys = ARRAY(
        SELECT key FROM unnest(keys) AS key WHERE key <> ALL ($3)
    )
    WHERE token = $2 AND $3 IS NOT NULL AND EXISTS (SELECT FROM settled)
), ended AS (
    DELETE FROM {{leases}} WHERE token = $2 AND $3 IS NULL AND EXISTS (SELECT FROM held)
        AND NOT EXISTS (SELECT FROM followed)
), delivered AS (
    DELETE FROM {{messages}} WHERE key = ANY (ARRAY(
        SELECT key FROM settled WHERE key <> ALL ($4::bigint[])
    ))
), released AS MATERIALIZED (
    SELECT m.key, ($6::timestamptz[])[array_position($5, m.key)] AS at, {SUSPECT} AS suspect
    FROM {{messages}} AS m
    WHERE m.key = ANY (ARRAY(SELECT key FROM settled WHERE key = ANY ($5::bigint[]))) FOR UPDATE
), moved AS (
    UPDATE {{messages}} SET due_at = ($6)[array_position($5, key)]
    WHERE key = ANY (ARRAY(SELECT key FROM released)) AND due_at <> ($6)[array_position($5, key)]
), put_back AS (
    UPDATE {{messages}} AS m SET lapses = 0, (
        due_at, next_attempt_at, scheduled_at, retry_count, occurrence_count, last_error,
        postpone_count, put_back, format
    ) = (
        SELECT ($8::timestamptz[])[p], ($8)[p], ($9::timestamptz[])[p], ($10::bigint[])[p],
            ($11::bigint[])[p], ($12::text[])[p],
            ($13::bigint[])[p], ($14::smallint[])[p], greatest(m.format, ($15::smallint[])[p])
        FROM array_position($7, m.key) AS p
    )
    WHERE m.key = ANY (ARRAY(SELECT key FROM settled WHERE key = ANY ($7::bigint[])))
    RETURNING m.key, m.due_at
), buried AS (
    UPDATE {{messages}} AS m SET dead = 1, died_at = {NOW}, (last_error, error_class) = (
        SELECT ($17::text[])[p], ($18::text[])[p] FROM array_position($16, m.key) AS p
    )
    WHERE m.key = ANY (ARRAY(SELECT key FROM settled WHERE key = ANY ($16::bigint[])))
), lined_up AS (
    INSERT INTO {{due}} (suspect, due_at, key)
    SELECT suspect, at, key FROM released UNION ALL SELECT false, due_at, key FROM put_back
    RETURNING due_at
)
SELECT
    EXISTS (SELECT FROM held) AS valid,
    coalesce((SELECT min(due_at) <= {NOW} + {SOON} FROM lined_up), false) AS soon,
    EXISTS (SELECT FROM {{leases}} WHERE expires_at >= {NEVER}) AS noted,
    EXISTS (SELECT FROM followed) AS followed"""
"""Settles a lease $2, or just the keys $3 of it.

All but $4 were delivered. $5 and $6 are released, $7 to $15 put back with new counters, $16 to
$18 buried: parallel arrays, keys first. Where something follows one of $19, which are held before
all else, nothing is done.
"""

HOLD: Final = f"""\
SELECT keys, {NOW} AS now FROM {{leases}} WHERE token = $2 AND expires_at > {NOW} FOR UPDATE"""

_READ: Final = "m.cut IS NOT NULL OR m.key = ANY ($2::bigint[])"
_PAYLOAD: Final = f"CASE WHEN {_READ} THEN m.payload ELSE '' END AS payload"

LOAD: Final = f"""\
SELECT m.key, m.successor, {COLUMNS.replace("m.payload", _PAYLOAD)}
FROM {{messages}} AS m WHERE m.key = ANY ($1::bigint[]) ORDER BY m.key FOR UPDATE"""
"""Some messages, held from now on, and what follows them; of $2 with the payload in any case."""

IS_TAKEN: Final = "SELECT key FROM {messages} WHERE id = $1"

INSERT_DEAD: Final = f"""\
INSERT INTO {{messages}} (dead, due_at, {", ".join(Record._fields)})
VALUES (1, $1, {", ".join(f"${n + 2}" for n in range(len(Record._fields)))})"""
