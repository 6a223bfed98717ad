"""The statements that store messages.

In a caller's own transaction all is given as JSON, so that the codecs of that connection do not
matter.
"""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from collections.abc import Sequence
from typing import Final

from duly.record import Record
from duly_postgres.columns import NOW, SOON, TEXT_NOW

__all__ = [
    "DECLARED_COLUMNS",
    "GIVEN_COLUMNS",
    "KEPT_COLUMNS",
    "PUT",
    "PUT_AS_IS",
    "PUT_AS_IS_WITHIN",
    "PUT_DECLARED",
    "PUT_ONE",
    "PUT_WITHIN",
    "from_json",
]

_MANAGED: Final = (
    "retry_count", "occurrence_count", "last_error", "postpone_count", "put_back", "died_at",
    "error_class",
)  # fmt: skip

GIVEN_COLUMNS: Final = tuple(name for name in Record._fields if name not in _MANAGED)
"""The columns that come from the message when it is stored; what duly manages starts anew."""

DECLARED_COLUMNS: Final = ("declared_by", "generation")

KEPT_COLUMNS: Final = (*Record._fields, "dead")
"""The columns of a message that is stored as it is: its whole record, and whether it is dead."""

_TYPES: Final = {
    "format": "smallint",
    "payload": "bytea",
    "metadata": "bytea",
    "scheduled_at": "timestamptz",
    "created_at": "timestamptz",
    "expires_at": "timestamptz",
    "given_at": "timestamptz",
    "next_attempt_at": "timestamptz",
    "trace_context": "bytea",
    "retry_count": "bigint",
    "occurrence_count": "bigint",
    "postpone_count": "bigint",
    "put_back": "smallint",
    "died_at": "timestamptz",
    "dead": "smallint",
}


def _from_arrays(columns: Sequence[str]) -> str:
    given = ", ".join(f"${n + 3}::{_TYPES.get(c, 'text')}[]" for n, c in enumerate(columns))
    return f"""\
SELECT * FROM unnest($2::integer[], {given})
WITH ORDINALITY AS given (group_number, {", ".join(columns)}, place)"""


def from_json(columns: Sequence[str]) -> tuple[str, str]:
    """What to select of objects of these columns, and the types that they have as JSON."""
    decoded = ", ".join(
        f"decode({name}, 'base64') AS {name}" if _TYPES.get(name) == "bytea" else name
        for name in columns
    )
    typed = ", ".join(
        f"{name} {_TYPES.get(name, 'text').replace('bytea', 'text')}" for name in columns
    )
    return decoded, typed


def _from_json(columns: Sequence[str]) -> str:
    decoded, typed = from_json(columns)
    return f"""\
SELECT group_number, {decoded}, place
FROM json_to_recordset($2::text::json) AS given (group_number integer, place integer, {typed})"""


def _put(given: str, columns: Sequence[str], now: str) -> str:
    """Store groups of messages, each whole or not at all; which were refused, and if one is due."""
    may_be_dead = "dead" in columns
    waiting = "added WHERE dead = 0" if may_be_dead else "added"
    return f"""\
WITH given AS MATERIALIZED (
    {given}
), stored AS MATERIALIZED (
    SELECT given.place, given.group_number, coalesce(m.given_at, m.created_at)
        = coalesce(given.given_at, given.created_at) AS is_repeat
    FROM given CROSS JOIN LATERAL (
        SELECT created_at, given_at FROM {{messages}} WHERE id = given.id LIMIT 1
    ) AS m
), added AS (
    INSERT INTO {{messages}} (due_at, {", ".join(columns)})
    SELECT next_attempt_at, {", ".join(columns)} FROM given
    WHERE place <> ALL (ARRAY(SELECT place FROM stored))
        AND group_number <> ALL (ARRAY(SELECT group_number FROM stored WHERE NOT is_repeat))
    ORDER BY place
    RETURNING due_at, key{", dead" if may_be_dead else ""}
), lined_up AS (
    INSERT INTO {{due}} (suspect, due_at, key) SELECT false, due_at, key FROM {waiting}
)
SELECT
    ARRAY(SELECT DISTINCT group_number FROM stored WHERE NOT is_repeat) AS refused,
    coalesce((SELECT min(due_at) <= {now} + {SOON} FROM {waiting}), false) AS soon"""


def _put_one(columns: Sequence[str]) -> str:
    values = {name: f"${n + 2}" for n, name in enumerate(columns)}
    return f"""\
WITH added AS (
    INSERT INTO {{messages}} (due_at, {", ".join(columns)})
    VALUES ({values["next_attempt_at"]}, {", ".join(values.values())})
    ON CONFLICT DO NOTHING RETURNING due_at, key
), lined_up AS (
    INSERT INTO {{due}} (suspect, due_at, key) SELECT false, due_at, key FROM added
)
SELECT due_at <= {NOW} + {SOON} AS soon FROM added"""


PUT_ONE: Final = _put_one(GIVEN_COLUMNS)
"""Stores one message, at half the cost of PUT; no row when its id is taken."""

PUT_DECLARED: Final = _put_one((*GIVEN_COLUMNS, *DECLARED_COLUMNS))
"""The same for a series that may be declared."""

PUT: Final = _put(_from_arrays(GIVEN_COLUMNS), GIVEN_COLUMNS, NOW)
"""Takes the columns as arrays. A unique violation: somebody else was storing the same id."""

PUT_WITHIN: Final = _put(_from_json(GIVEN_COLUMNS), GIVEN_COLUMNS, TEXT_NOW)
"""Takes an array of objects as JSON, which any connection passes on."""

PUT_AS_IS: Final = _put(_from_arrays(KEPT_COLUMNS), KEPT_COLUMNS, NOW)
PUT_AS_IS_WITHIN: Final = _put(_from_json(KEPT_COLUMNS), KEPT_COLUMNS, TEXT_NOW)
"""For messages that are stored as they are: dead letters get no place in the line."""
