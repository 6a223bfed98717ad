"""The statements that count what is to come, and by event name."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly_postgres.columns import COLUMNS, IN_LINE, IS_ASIDE, NOW
from duly_postgres.sql_storing import STATE

__all__ = ["BETWEEN", "IN_SPANS", "LOOKED_AT", "NAMED", "OF_NAMES", "OVERDUE", "RECURRING"]


def _in_span(suspect: str) -> str:
    return f"""\
(SELECT count(*) FROM (
        SELECT FROM {{due}} WHERE suspect = {suspect} AND due_at > span.low AND due_at <= span.high
        ORDER BY due_at, key LIMIT $3::bigint
    ) AS counted)"""


IN_SPANS: Final = f"""\
SELECT {_in_span("false")} + {_in_span("true")} AS number,
    (SELECT count(*) FROM (SELECT FROM {{aside}} LIMIT $3::bigint) AS counted) AS aside
FROM unnest($1::timestamptz[], $2::timestamptz[]) WITH ORDINALITY AS span (low, high, place)
ORDER BY place"""
"""How much of the line is in each of some spans, counted up to $3, and how much stands aside."""

LOOKED_AT: Final = """\
SELECT count(*) AS looked_at,
    array_agg(line.due_at) FILTER (WHERE m.is_retry AND line.place < $4::bigint) AS retries
FROM (
    SELECT due_at, key, row_number() OVER (ORDER BY due_at, key) AS place FROM (
        SELECT due_at, key FROM {due} WHERE suspect = $1::boolean AND due_at <= $2::timestamptz
        ORDER BY due_at, key LIMIT $3::bigint
    ) AS head
) AS line CROSS JOIN LATERAL (
    SELECT retry_count > 0 AND recurrence IS NULL AS is_retry
    FROM {messages} WHERE key = line.key LIMIT 1
) AS m"""
"""How many of the line there are up to $2, at most $3; when those before the $4th that are retries
are due."""

OVERDUE: Final = """\
SELECT head.event_name, head.number, head.oldest, (
        SELECT true FROM {aside} AS a WHERE a.event_name = head.event_name
        ORDER BY a.due_at, a.key LIMIT 1
    ) IS NOT NULL AS aside
FROM (
    SELECT m.event_name, count(*) AS number, min(line.due_at) AS oldest
    FROM (
        SELECT due_at, key FROM {due} WHERE suspect = $1::boolean AND due_at <= $2::timestamptz
        ORDER BY due_at, key LIMIT $3::bigint
    ) AS line CROSS JOIN LATERAL (
        SELECT event_name FROM {messages} WHERE key = line.key LIMIT 1
    ) AS m
    GROUP BY m.event_name
) AS head"""
"""By event name what is due up to $2, the first $3 of the line, and whether more stands aside."""

_WITHOUT_PAYLOAD: Final = COLUMNS.replace("m.payload,", "''::bytea AS payload,")

RECURRING: Final = f"""\
SELECT {STATE} AS state, m.due_at, m.dead = 0 AND {IS_ASIDE} AS aside, m.successor,
    {_WITHOUT_PAYLOAD}
FROM {{messages}} AS m LEFT JOIN {IN_LINE} ON true
WHERE m.recurrence IS NOT NULL AND m.dead = 0 ORDER BY m.key LIMIT $1::bigint"""
"""What recurs, wherever it is; by an index of its own."""

BETWEEN: Final = f"""\
SELECT line.due_at, {_WITHOUT_PAYLOAD}
FROM (
    SELECT due_at, key FROM {{due}}
    WHERE suspect = $1::boolean AND due_at >= $2::timestamptz AND due_at <= $3::timestamptz
    ORDER BY due_at, key LIMIT $4::bigint
) AS line CROSS JOIN LATERAL (SELECT * FROM {{messages}} WHERE key = line.key LIMIT 1) AS m"""
"""What is in the line from $2 up to $3, at most $4."""

# From one name to the next, whatever each has.
NAMED: Final = """\
WITH RECURSIVE known (event_name) AS (
    (
        SELECT event_name FROM {messages} WHERE event_name > $1::text
        ORDER BY event_name LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT m.event_name FROM {messages} AS m WHERE m.event_name > known.event_name
        ORDER BY m.event_name LIMIT 1
    ) FROM known WHERE known.event_name IS NOT NULL
)
SELECT event_name FROM known WHERE event_name IS NOT NULL LIMIT $2::bigint"""
"""The event names behind $1, at most $2."""

OF_NAMES: Final = f"""\
SELECT known.event_name, number, dead, claimed, due, oldest, (
        SELECT count(*) FROM (
            SELECT FROM {{aside}} AS a WHERE a.event_name = known.event_name
            ORDER BY a.due_at, a.key LIMIT $3::bigint
        ) AS counted
    ) AS aside
FROM unnest($2::text[]) WITH ORDINALITY AS known (event_name, place) CROSS JOIN LATERAL (
    SELECT count(*) AS number, count(*) FILTER (WHERE seen.is_dead) AS dead,
        count(*) FILTER (WHERE seen.is_held) AS claimed,
        count(*) FILTER (WHERE NOT seen.is_dead AND NOT seen.is_held AND seen.is_due) AS due,
        min(seen.due_at) FILTER (WHERE NOT seen.is_dead AND NOT seen.is_held AND seen.is_due)
            AS oldest
    FROM (
        SELECT m.dead > 0 AS is_dead, m.due_at, m.due_at <= {NOW} AS is_due,
            m.key IN (SELECT unnest(keys) FROM {{leases}}) AS is_held
        FROM {{messages}} AS m WHERE m.event_name = known.event_name
        LIMIT $3::bigint
    ) AS seen
) AS stats
ORDER BY place"""
"""How much there is of each of some names, counted up to $3.

In no order: an index on what it were by would be read from end to end.
"""
