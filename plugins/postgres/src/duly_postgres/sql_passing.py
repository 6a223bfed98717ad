"""The statements that go past messages which somebody else's transaction holds."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly_postgres.columns import NEVER, NOW

__all__ = ["BRING_BACK", "END", "LAPSED", "LEASE", "LOCKED", "NARROW", "NOTE", "NOTED"]

# In a fixed order, since callers hold several; not in that of an index: see FIND.
LOCKED: Final = """\
WITH ours AS MATERIALIZED (
    SELECT key FROM {messages} WHERE key = ANY ($1::bigint[])
    ORDER BY key + 0 FOR UPDATE SKIP LOCKED
)
SELECT key, due_at, format FROM {messages}
WHERE key = ANY ($1::bigint[]) AND key <> ALL (ARRAY(SELECT key FROM ours))"""
"""Which of some messages others hold; we hold the rest from now on, or it is gone."""

LEASE: Final = f"""\
SELECT token, owner, keys, expires_at > {NOW} AS valid FROM {{leases}}
WHERE token = $2 AND expires_at < {NEVER} FOR UPDATE"""

LAPSED: Final = f"""\
SELECT token, owner, keys FROM {{leases}} WHERE expires_at <= {NOW}
ORDER BY token FOR UPDATE SKIP LOCKED"""
"""The leases that lapsed, except those that somebody else is working on."""

NOTED: Final = f"""\
SELECT token, owner, keys, outcome FROM {{leases}} WHERE expires_at >= {NEVER}
ORDER BY token FOR UPDATE SKIP LOCKED"""
"""The notes, except those that somebody else is working on."""

NOTE: Final = """\
INSERT INTO {leases} (token, expires_at, owner, keys, outcome)
VALUES ($1, timestamptz '10000-01-01 00:00:00+00' - $5 * interval '1 second', $2, $3, $4)"""
"""Notes outcomes of messages, in a lease that never lapses and whose token nobody has.

$5 is the record format that they need: see NEVER.
"""

NARROW: Final = """\
UPDATE {leases} SET keys = ARRAY(SELECT key FROM unnest(keys) AS key WHERE key <> ALL ($2))
WHERE token = $1"""

END: Final = "DELETE FROM {leases} WHERE token = $1"

BRING_BACK: Final = f"""\
INSERT INTO {{leases}} (token, expires_at, owner, keys) VALUES ($2, {NOW}, $3, $4)"""
"""Adds a lapsed lease for messages that others held when their own lease lapsed."""
