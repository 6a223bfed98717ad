"""The statements about notes, and the one that ends the leases of an owner."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly_postgres.columns import NEVER, NOW

__all__ = [
    "ANY_NOTE", "DELETE_NOTE", "LAPSE", "LIST_NOTES", "MAKE_NOTE", "READ_NOTE", "WRITE_NOTE",
]  # fmt: skip

# Once the row was found: not earlier than it was written.
_NOW: Final = "coalesce($1::timestamptz, clock_timestamp())"

READ_NOTE: Final = f"SELECT value, revision, {_NOW} AS now FROM {{notes}} WHERE name = $2"

LIST_NOTES: Final = f"""\
SELECT name, value, revision, {_NOW} AS now FROM {{notes}}
WHERE name >= $2 AND name < $3 ORDER BY name"""

ANY_NOTE: Final = "SELECT FROM {notes} WHERE name = $1"

MAKE_NOTE: Final = """\
INSERT INTO {notes} (name, value, revision) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
RETURNING true"""

WRITE_NOTE: Final = """\
UPDATE {notes} SET value = $2, revision = $3 WHERE name = $1 AND revision = $4 RETURNING true"""

DELETE_NOTE: Final = "DELETE FROM {notes} WHERE name = $1 AND revision = $2 RETURNING true"

# Leases are few, one for each batch in hand: an index on owners would cost every claim a write.
# All that lock several leases do so in the order of their tokens: no two wait for one another.
LAPSE: Final = f"""\
WITH ended AS (
    UPDATE {{leases}} SET expires_at = {NOW}
    WHERE token = ANY (ARRAY(
        SELECT token FROM {{leases}}
        WHERE expires_at > {NOW} AND expires_at < {NEVER} AND owner = $2
        ORDER BY token FOR UPDATE
    ))
    RETURNING keys
)
SELECT count(*) AS number FROM ended, unnest(keys) AS held
WHERE (SELECT m.key FROM {{messages}} AS m WHERE m.key = held) IS NOT NULL"""
"""Ends the leases of an owner; how many messages they held."""
