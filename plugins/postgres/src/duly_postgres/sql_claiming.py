"""The statements of claims and leases.

Each is a single statement, and so a transaction of its own.
"""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import Record
from duly.store import SUSPECT_LAPSES
from duly_postgres.columns import COLUMNS, NEVER, NOW, SUSPECT
from duly_postgres.old_rows import ASIDE

__all__ = ["GIVE_BACK", "PUT_ASIDE", "RECOVER", "RENEW", "TAKE", "TAKE_SUSPECT"]

# How many are to be taken from a lane: none if something else comes first. ``first_other`` is the
# head of the other lane.
_ORDINARY_TURN: Final = """\
first_other AS MATERIALIZED (
    SELECT due_at, key FROM {due} WHERE suspect AND $9::boolean ORDER BY due_at, key LIMIT 1
), turn AS MATERIALIZED (
    SELECT
        lapsed, suspect_first, noted, aside,
        CASE WHEN lapsed OR suspect_first OR noted OR aside THEN 0 ELSE $3::bigint END AS room
    FROM (
        SELECT
            EXISTS (
                SELECT FROM {leases} WHERE expires_at <= {now} AND expires_at > $5
            ) AS lapsed,
            EXISTS (
                SELECT FROM first_other AS s WHERE s.due_at <= {now} AND NOT EXISTS (
                    SELECT FROM {due} AS o
                    WHERE NOT o.suspect AND (o.due_at, o.key) < (s.due_at, s.key)
                )
            ) AS suspect_first,
            EXISTS (SELECT FROM {leases} WHERE expires_at >= {never} AND expires_at > $5) AS noted,
            (
                SELECT true FROM {aside} WHERE event_name > ''
                ORDER BY event_name, due_at, key LIMIT 1
            ) IS NOT NULL AS aside
    ) AS looked
)"""

_SUSPECT_TURN: Final = """\
first_other AS MATERIALIZED (
    SELECT due_at, key FROM {due} WHERE NOT suspect AND $9::boolean ORDER BY due_at, key LIMIT 1
), turn AS MATERIALIZED (
    SELECT false AS lapsed, false AS suspect_first, false AS noted, false AS aside,
        $3::bigint AS room
    WHERE $5::timestamptz IS NOT NULL
)"""


def _take(lane: str, turn: str) -> str:
    """Settle what was delivered, then take from a lane of the line.

    $1 now, $2 tokens of what was delivered, $3 how many to take, $4 and $5 where to start in the
    line and in the ends of leases, $6 to $8 token, duration and owner of the lease, $9 whether
    suspects count, $10 whether there is no need to wait for the disk.

    Each message comes with its lapses, and whether it is a series that is over, so that what
    follows takes its place.

    The last row has no key; it tells about the claim: now, whether a lapsed lease or a suspect
    comes first (then nothing was taken), the tokens that were valid, the last due time taken, what
    is ahead in this lane and in the other, when a lease ends (unless something is due before),
    whether others hold some of what is due here, whether anything stands aside, and whether there
    are noted outcomes that must be done first (in both cases nothing was taken either).
    """
    # The look ahead in this statement does not see what it has taken nor the lease it has written:
    # it shows all as it was before.
    return f"""\
WITH ended AS (
    DELETE FROM {{leases}} WHERE token = ANY ($2::text[]) AND expires_at > {NOW}
    RETURNING token, keys
), delivered AS (
    DELETE FROM {{messages}} WHERE key = ANY (ARRAY(SELECT unnest(keys) FROM ended))
), {turn.replace("{now}", NOW).replace("{never}", NEVER)}, taken AS (
    DELETE FROM {{due}} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {{due}} WHERE {lane} AND due_at <= {NOW} AND due_at >= $4::timestamptz
        ORDER BY due_at, key LIMIT (SELECT room FROM turn) FOR UPDATE SKIP LOCKED
    ))
    RETURNING due_at, key
), leased AS (
    INSERT INTO {{leases}} (token, expires_at, owner, keys)
    SELECT $6::text, {NOW} + $7::interval, $8::text, array_agg(key) FROM taken HAVING count(*) > 0
), last AS MATERIALIZED (
    SELECT due_at, key, (SELECT count(*) FROM taken) AS number
    FROM taken ORDER BY due_at DESC, key DESC LIMIT 1
), ahead AS MATERIALIZED (
    SELECT
        CASE WHEN (SELECT number FROM last) = (SELECT room FROM turn) THEN (
            SELECT due_at FROM {{due}}
            WHERE {lane} AND (due_at, key) > ((SELECT due_at FROM last), (SELECT key FROM last))
            ORDER BY due_at, key LIMIT 1
        ) ELSE (
            SELECT due_at FROM {{due}} WHERE {lane} AND due_at > {NOW} ORDER BY due_at, key LIMIT 1
        ) END AS due_at
)
(
    SELECT m.key, m.lapses, m.scheduled_at > m.cut AS over, {COLUMNS}, NULL::record AS about
    FROM {{messages}} AS m WHERE m.key = ANY (ARRAY(SELECT key FROM taken))
    ORDER BY m.due_at, m.key
) UNION ALL (
    SELECT {", ".join(["NULL"] * (3 + len(Record._fields)))}, ROW(
        {NOW},
        turn.lapsed,
        turn.suspect_first,
        ARRAY(SELECT token FROM ended),
        (SELECT due_at FROM last),
        ahead.due_at,
        (SELECT due_at FROM first_other),
        CASE WHEN ahead.due_at IS NULL OR ahead.due_at > {NOW} THEN (
            SELECT expires_at FROM {{leases}}
            WHERE expires_at > {NOW} AND expires_at < {NEVER} AND token <> ALL ($2::text[])
            ORDER BY expires_at LIMIT 1
        ) END,
        CASE WHEN coalesce((SELECT number FROM last), 0) < turn.room THEN (
            SELECT count(*) FROM (
                SELECT FROM {{due}}
                WHERE {lane} AND due_at <= {NOW} AND due_at >= $4::timestamptz
                ORDER BY due_at, key LIMIT coalesce((SELECT number FROM last), 0) + 1
            ) AS due
        ) > coalesce((SELECT number FROM last), 0) ELSE false END,
        turn.aside,
        turn.noted,
        CASE WHEN $10::boolean THEN set_config('synchronous_commit', 'off', true) END
    ) FROM turn, ahead
)"""


TAKE: Final = _take("NOT suspect", _ORDINARY_TURN)
"""Takes ordinary messages, unless a lapsed lease, a note or a suspect comes before them."""

TAKE_SUSPECT: Final = _take("suspect", _SUSPECT_TURN)
"""Takes suspects, whatever else there is."""

RECOVER: Final = f"""\
WITH lapsed AS (
    DELETE FROM {{leases}} WHERE token = ANY (ARRAY(
        SELECT token FROM {{leases}} WHERE expires_at <= {NOW} FOR UPDATE SKIP LOCKED
    ))
    RETURNING keys
), counted AS (
    UPDATE {{messages}} AS m SET lapses = m.lapses + 1
    WHERE m.key = ANY (ARRAY(SELECT unnest(keys) FROM lapsed)) AND m.dead = 0
    RETURNING m.due_at, m.key, {SUSPECT} AS suspect
)
INSERT INTO {{due}} (suspect, due_at, key) SELECT suspect, due_at, key FROM counted
RETURNING key"""
"""Puts what is left in lapsed leases back at its old place, with one more lapse."""

RENEW: Final = f"""\
UPDATE {{leases}} SET expires_at = {NOW} + $2::interval
WHERE token = ANY (ARRAY(
    SELECT token FROM {{leases}} WHERE token = ANY ($3::text[]) AND expires_at > {NOW}
    ORDER BY token FOR UPDATE
))
RETURNING token, ARRAY(
    SELECT held FROM unnest(keys) AS held
    WHERE (SELECT m.key FROM {{messages}} AS m WHERE m.key = held) IS NULL
) AS gone"""
"""Renews leases; returns their keys whose messages are gone. A lost lease is left out."""

GIVE_BACK: Final = f"""\
WITH ended AS (
    DELETE FROM {{leases}} WHERE token = $1 RETURNING keys
), back AS (
    SELECT m.due_at, m.key, {SUSPECT} AS suspect FROM {{messages}} AS m
    WHERE m.key = ANY (ARRAY(SELECT unnest(keys) FROM ended)) FOR UPDATE
)
INSERT INTO {{due}} (suspect, due_at, key) SELECT suspect, due_at, key FROM back"""
"""Puts a whole batch back at its place, nothing counted."""

# A record of a newer format goes on waiting; one that cannot be read stays as it was found.
PUT_ASIDE: Final = f"""\
WITH narrowed AS (
    UPDATE {{leases}} SET keys = ARRAY(
        SELECT held FROM unnest(keys) AS held WHERE held <> ALL ($3::bigint[] || $4::bigint[])
    )
    WHERE token = $2 AND NOT $5
), ended AS (
    DELETE FROM {{leases}} WHERE token = $2 AND $5
), aside AS (
    UPDATE {{messages}} AS m SET {ASIDE} WHERE m.key = ANY ($3::bigint[])
), postponed AS (
    UPDATE {{messages}} SET due_at = {NOW} + $6::interval WHERE key = ANY ($4::bigint[])
    RETURNING lapses >= {SUSPECT_LAPSES} AS suspect, due_at, key
)
INSERT INTO {{due}} (suspect, due_at, key) SELECT suspect, due_at, key FROM postponed"""
"""Takes $3, which cannot be read, and $4, which is newer, out of the lease $2, which ends if $5."""
