"""The statements of a claim that limits event names, or finds some aside."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import Record
from duly_postgres.columns import COLUMNS, NOW
from duly_postgres.marking import MARKED

__all__ = [
    "FIRST_ASIDE", "HAVE_SIDINGS", "LOOK", "SIDINGS_LEFT", "SWEEP", "TAKE_FROM_LINES", "WALK",
]  # fmt: skip


def _walk(first: str, since: str, past: str) -> str:
    """Go from siding to siding: a step for each, however many messages there are."""
    return f"""\
SELECT span.place, found.event_name, found.due_at, span.since
FROM unnest({first}::text[], {since}::timestamptz[], {past}::text[])
    WITH ORDINALITY AS span (first, since, past, place)
CROSS JOIN LATERAL (
    WITH RECURSIVE walked AS (
        (
            SELECT a.event_name, a.due_at FROM {{aside}} AS a
            WHERE (a.event_name, a.due_at) >= (span.first, span.since) AND a.event_name < span.past
            ORDER BY a.event_name, a.due_at LIMIT 1
        ) UNION ALL (
            SELECT following.event_name, following.due_at
            FROM walked CROSS JOIN LATERAL (
                SELECT a.event_name, a.due_at FROM {{aside}} AS a
                WHERE a.event_name > walked.event_name AND a.event_name < span.past
                ORDER BY a.event_name, a.due_at LIMIT 1
            ) AS following
        )
    )
    SELECT event_name, due_at FROM walked
) AS found"""


WALK: Final = f"{_walk('$1', '$2', '$3')} LIMIT $4"
"""The first $4 sidings in some spans of names, in their order; each with its first due time."""

FIRST_ASIDE: Final = """\
SELECT wanted.name, found.due_at, found.key
FROM unnest($2::text[], $3::timestamptz[], $4::bigint[]) AS wanted (name, due_at, key)
CROSS JOIN LATERAL (
    SELECT a.due_at, a.key FROM {aside} AS a
    WHERE a.event_name = wanted.name AND a.due_at <= $1
        AND (a.due_at, a.key) > (wanted.due_at, wanted.key)
    ORDER BY a.due_at, a.key LIMIT $5
) AS found
ORDER BY wanted.name, found.due_at, found.key"""
"""Of some sidings the first $5 each that are due at $1 and behind a place."""

HAVE_SIDINGS: Final = """\
SELECT wanted.name FROM unnest($1::text[]) AS wanted (name)
WHERE (SELECT true FROM {aside} AS a WHERE a.event_name = wanted.name LIMIT 1) IS NOT NULL"""
"""Which of some names have a siding."""

SIDINGS_LEFT: Final = f"""\
SELECT
    (
        SELECT true FROM ({_walk("$2", "$3", "$4")}) AS open
        WHERE open.due_at <= $1 LIMIT 1
    ) IS NOT NULL AS give,
    (SELECT true FROM ({_walk("$5", "$6", "$7")}) AS closed LIMIT 1) IS NOT NULL AS keep"""
"""Whether a siding of some spans of names has something that is due, and one of others anything."""

# Nothing is locked, so that what others are just taking or moving is seen, and is not passed
# unnoticed: a claim looks at so many places, not at so many that are free.
LOOK: Final = f"""\
SELECT d.due_at, d.key, m.event_name, m.recurs, {MARKED} AS moves
FROM (
    SELECT due_at, key FROM {{due}}
    WHERE suspect = $1 AND due_at <= $2 AND (due_at, key) > ($3::timestamptz, $4::bigint)
    ORDER BY due_at, key LIMIT $5
) AS d
CROSS JOIN LATERAL (
    SELECT event_name, recurrence IS NOT NULL AS recurs FROM {{messages}} WHERE key = d.key LIMIT 1
) AS m
ORDER BY d.due_at, d.key"""
"""What stands in a lane of the main line behind a place, up to $2, at most $5."""

SWEEP: Final = f"""\
WITH head AS MATERIALIZED (
    SELECT at, due_at, key, row_number() OVER (ORDER BY due_at, key) AS place
    FROM (
        SELECT ctid AS at, due_at, key FROM {{due}}
        WHERE NOT suspect AND due_at <= $1 AND due_at >= $2::timestamptz
        ORDER BY due_at, key LIMIT $3::bigint + 1
    ) AS first
), full_names AS MATERIALIZED (
    SELECT wanted.name FROM unnest($4::text[], $5::boolean[]) AS wanted (name, closed)
    WHERE {MARKED} AND (wanted.closed OR (
        SELECT true FROM {{aside}} AS a WHERE a.event_name = wanted.name AND a.due_at <= $1
        ORDER BY a.due_at, a.key OFFSET $6::bigint LIMIT 1
    ) IS NOT NULL)
), met AS MATERIALIZED (
    SELECT head.*, m.event_name AS name, m.waits
    FROM head LEFT JOIN LATERAL (
        SELECT event_name, recurrence IS NULL
            AND event_name = ANY (ARRAY(SELECT name FROM full_names)) AS waits
        FROM {{messages}} WHERE key = head.key LIMIT 1
    ) AS m ON true
), asked AS MATERIALIZED (
    SELECT met.*, ours.key IS NOT NULL AS ours
    FROM met LEFT JOIN LATERAL (
        SELECT d.key FROM {{due}} AS d WHERE d.ctid = met.at FOR UPDATE SKIP LOCKED
    ) AS ours ON true
    WHERE met.place < (
        SELECT coalesce(min(place), $3::bigint + 1) FROM met
        WHERE waits IS NOT TRUE OR place > $3::bigint
    )
), gone AS MATERIALIZED (
    SELECT at, name, due_at, key FROM asked
    WHERE place < (SELECT coalesce(min(place), $3::bigint + 1) FROM asked WHERE NOT ours)
), left_line AS (
    DELETE FROM {{due}} WHERE ctid = ANY (ARRAY(SELECT at FROM gone))
), moved AS (
    INSERT INTO {{aside}} (event_name, due_at, key)
    SELECT name, due_at, key FROM gone ON CONFLICT DO NOTHING
)
SELECT name, count(*) AS number, min(due_at) AS first, max(due_at) AS last,
    (SELECT count(*) FROM head) > $3::bigint AS more,
    CASE WHEN $7::boolean THEN set_config('synchronous_commit', 'off', true) END AS hasty
FROM gone GROUP BY name"""
"""Move aside what comes first in the main line, of names that are full: at most $3, from $2 on.

It ends before the first message of any other name, or that recurs, or that others hold. Full is a
name of $4 if $5 says so, or more than $6 messages that are due stand in its siding: more than a
claim takes. $7 is whether there is no need to wait for the disk.
"""

TAKE_FROM_LINES: Final = f"""\
WITH met AS MATERIALIZED (
    SELECT wanted.*, found.at, ours.key IS NOT NULL AS ours
    FROM unnest(
        $7::bigint[], $8::timestamptz[], $9::text[], $10::boolean[], $11::boolean[]
    ) WITH ORDINALITY AS wanted (key, due_at, name, recurs, moves, place)
    CROSS JOIN LATERAL (
        SELECT d.ctid AS at FROM {{due}} AS d
        WHERE d.suspect = $6 AND d.due_at = wanted.due_at AND d.key = wanted.key LIMIT 1
    ) AS found
    CROSS JOIN LATERAL (
        SELECT FROM {{messages}} AS m WHERE m.key = wanted.key AND m.event_name = wanted.name
            AND (m.recurrence IS NOT NULL) = wanted.recurs LIMIT 1
    ) AS same
    LEFT JOIN LATERAL (
        SELECT d.key FROM {{due}} AS d WHERE d.ctid = found.at FOR UPDATE SKIP LOCKED
    ) AS ours ON true
), barred AS MATERIALIZED (
    SELECT name, min(place) AS place FROM met WHERE NOT ours AND key <> ALL ($12::bigint[])
    GROUP BY name
), left_line AS (
    DELETE FROM {{due}} WHERE ctid = ANY (ARRAY(
        SELECT at FROM met WHERE ours AND NOT EXISTS (
            SELECT FROM barred WHERE barred.name = met.name AND barred.place < met.place
        )
    ))
    RETURNING key
), gone AS MATERIALIZED (
    SELECT met.key, met.name, met.due_at, met.moves FROM met
    WHERE ours AND NOT EXISTS (
        SELECT FROM barred WHERE barred.name = met.name AND barred.place < met.place
    )
), moved AS (
    INSERT INTO {{aside}} (event_name, due_at, key)
    SELECT name, due_at, key FROM gone WHERE moves ON CONFLICT DO NOTHING
), given AS (
    DELETE FROM {{aside}} WHERE ctid = ANY (ARRAY(
        SELECT found.at
        FROM unnest($13::text[], $14::timestamptz[], $15::bigint[]) AS wanted (name, due_at, key)
        CROSS JOIN LATERAL (
            SELECT a.ctid AS at FROM {{aside}} AS a
            WHERE a.event_name = wanted.name AND a.due_at = wanted.due_at AND a.key = wanted.key
            LIMIT 1 FOR UPDATE SKIP LOCKED
        ) AS found
    ))
    RETURNING key
), taken AS MATERIALIZED (
    SELECT key FROM gone WHERE NOT moves UNION ALL SELECT key FROM given
), leased AS (
    INSERT INTO {{leases}} (token, expires_at, owner, keys)
    SELECT $2::text, {NOW} + $3::interval, $4::text, array_agg(key) FROM taken HAVING count(*) > 0
)
(
    SELECT m.key, m.lapses, m.scheduled_at > m.cut AS over, {COLUMNS}, NULL::record AS about
    FROM {{messages}} AS m WHERE m.key = ANY (ARRAY(SELECT key FROM taken))
    ORDER BY m.due_at, m.key
) UNION ALL (
    SELECT {", ".join(["NULL"] * (3 + len(Record._fields)))}, ROW(
        (SELECT count(*) FROM gone),
        (SELECT count(*) FROM gone WHERE moves),
        ARRAY(SELECT key FROM met WHERE NOT ours),
        CASE WHEN $5::boolean THEN set_config('synchronous_commit', 'off', true) END
    )
)"""
"""Take some of the main line and of sidings, and move others aside.

$2 to $4 token, duration and owner of the lease, $5 whether there is no need to wait for the disk,
$6 the lane, $7 to $11 what was met there, in its order, $13 to $15 what is to be taken of sidings.

Nothing is taken or moved of a name behind what others hold, but for $12, which are passed. The last
row has no key; it tells how many left the main line, how many of them were moved, and what others
hold.
"""
