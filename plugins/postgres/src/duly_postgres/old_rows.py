"""Rows that are older than the checks on their moments: examined while the store goes on.

If somebody wrote moments by hand before there were checks, nobody can read the row or alter any
column of it: not even a claim could set it aside. So it becomes a dead letter beforehand, which
says what was found. Then the checks are validated, which holds nobody up.
"""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from collections.abc import Sequence
from typing import Any, Final

from duly_postgres.columns import IN_YEARS, SUSPECT
from duly_postgres.connection import Connection
from duly_postgres.ddl import CHECKED_LATER, constraint
from duly_postgres.migrating import in_turn
from duly_postgres.names import Names

__all__ = ["ASIDE", "left", "mend", "statements", "told", "validating"]

_AS_IT_SHOULD: Final = " AND ".join(
    f"coalesce({IN_YEARS.format(f'm.{name}')}, true)" for name in CHECKED_LATER
)
_WHAT_WAS_FOUND: Final = ", ".join(
    f"CASE WHEN NOT {IN_YEARS.format(f'm.{name}')} THEN '{name} was ' || m.{name}::text END"
    for name in CHECKED_LATER
)

ASIDE: Final = f"""\
dead = CASE WHEN {_AS_IT_SHOULD} THEN 2 ELSE 1 END,
        next_attempt_at = CASE WHEN {IN_YEARS.format("m.next_attempt_at")}
            THEN m.next_attempt_at ELSE m.scheduled_at END,
        expires_at = CASE WHEN {IN_YEARS.format("m.expires_at")} THEN m.expires_at END,
        given_at = CASE WHEN {IN_YEARS.format("m.given_at")} THEN m.given_at END,
        last_error = CASE WHEN {_AS_IT_SHOULD} THEN m.last_error
            ELSE concat_ws(', ', 'it cannot be read', {_WHAT_WAS_FOUND}) END"""
"""Assignments that set a row ``m`` aside, and after which it can be altered.

Its values stay unless they break a check; what those were is then only in its ``last_error``.
"""

_MEND: Final = f"""\
WITH mended AS (
    UPDATE {{messages}} AS m SET
        {ASIDE}
    WHERE NOT ({_AS_IT_SHOULD})
    RETURNING m.key, m.id, {SUSPECT} AS suspect, m.due_at
), left_line AS (
    DELETE FROM {{due}} AS d USING mended AS m
    WHERE d.suspect = m.suspect AND d.due_at = m.due_at AND d.key = m.key
)
SELECT id FROM mended"""

_LEFT: Final = """\
SELECT conname::text AS name FROM pg_constraint
WHERE conrelid = to_regclass('{messages}') AND contype = 'c' AND NOT convalidated"""


def validating(columns: Sequence[str]) -> Sequence[str]:
    """The statements that validate the checks on some columns."""
    return [f"ALTER TABLE {{messages}} VALIDATE CONSTRAINT {constraint(name)}" for name in columns]


def statements(columns: Sequence[str]) -> Sequence[str]:
    """The same, if there may be rows that would fail; nothing for no columns."""
    return [_MEND, *validating(columns)] if columns else []


async def left(db: Connection, names: Names) -> Sequence[str]:
    """The columns whose checks are not validated."""
    found: Sequence[Any] = await db.fetch(names(_LEFT))
    there = {row["name"] for row in found}
    return [name for name in CHECKED_LATER if names(constraint(name)).strip('"') in there]


async def mend(db: Connection, names: Names) -> Sequence[str]:
    """Validate what is left to validate; the ids of rows that became dead letters for that."""
    ids: list[str] = []
    for statement in map(names, statements(await left(db, names))):
        rows = await in_turn(db, statement)
        ids += [row["id"] for row in rows]
    return ids


def told(ids: Sequence[str]) -> str:
    """The sentence about such dead letters."""
    some = ", ".join(map(repr, ids[:3])) + (", ..." if len(ids) > 3 else "")
    return (
        f"{len(ids)} messages of an earlier time could not be read and are dead letters now "
        f"({some}): last_error says why"
    )
