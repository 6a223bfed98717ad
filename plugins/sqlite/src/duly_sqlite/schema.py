"""The tables, and how a file gets them."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from duly import StoreError
from duly_sqlite import sql_lines, sql_schema

__all__ = ["STEPS", "VERSION", "all_statements", "newer", "pending", "prepare"]

_MOMENT: Final = (
    "CHECK (typeof({0}) = 'integer' AND {0} BETWEEN -62135596800000000 AND 253402300799999999)"
)
"""The years 1 to 9999 in microseconds: what can be listed can be sorted and paged."""

# The checks guard the columns by which the store itself finds and sorts. Anything else that is
# written by hand makes one record unreadable, and never makes a statement fail.
_FIRST: Final = (
    # usable_from: the oldest schema version whose code can work with this one.
    "CREATE TABLE duly_schema (version INTEGER NOT NULL, usable_from INTEGER NOT NULL)",
    f"""\
CREATE TABLE duly_messages (
    key INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
    due_at INTEGER NOT NULL {_MOMENT.format("due_at")}, -- its place in duly_due, kept while claimed
    lapses INTEGER NOT NULL DEFAULT 0 CHECK (typeof(lapses) = 'integer'),
    dead INTEGER NOT NULL DEFAULT 0 CHECK (dead IN (0, 1, 2)), -- 1: a dead letter, 2: unreadable
    format INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE CHECK (typeof(id) = 'text'),
    event_name TEXT NOT NULL,
    payload BLOB NOT NULL,
    metadata BLOB NOT NULL,
    scheduled_at INTEGER NOT NULL {_MOMENT.format("scheduled_at")},
    created_at INTEGER NOT NULL {_MOMENT.format("created_at")},
    expires_at INTEGER,
    recurrence TEXT,
    next_attempt_at INTEGER NOT NULL,
    retry_count INTEGER NOT NULL,
    occurrence_count INTEGER NOT NULL,
    last_error TEXT,
    delivery_id TEXT,
    trace_context BLOB NOT NULL
)""",
    "CREATE INDEX duly_messages_by_time ON duly_messages (scheduled_at, id)",
    "CREATE INDEX duly_messages_by_name ON duly_messages (event_name, scheduled_at, id)",
    "CREATE INDEX duly_messages_dead ON duly_messages (scheduled_at, id, dead) WHERE dead > 0",
    # What waits: narrow, so that claiming rewrites no payload; suspects stand apart.
    """\
CREATE TABLE duly_due (
    suspect INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (suspect, due_at, key)
) WITHOUT ROWID""",
    # One row for each batch in hand; keys is a JSON array.
    """\
CREATE TABLE duly_leases (
    token TEXT NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL,
    owner TEXT NOT NULL,
    keys TEXT NOT NULL
) WITHOUT ROWID""",
    "CREATE INDEX duly_leases_by_end ON duly_leases (expires_at)",
    "INSERT INTO duly_schema (version, usable_from) VALUES (1, 1)",
)

_SECOND: Final = (
    # What created_at was before it was moved, to tell repeats by; those of version 1 do without.
    "ALTER TABLE duly_messages ADD COLUMN given_at INTEGER",
    "INSERT INTO duly_schema (version, usable_from) VALUES (2, 1)",
)

_THIRD: Final = (
    # Empty where there is nothing to tell, so that those of version 2 can go on inserting.
    "ALTER TABLE duly_messages ADD COLUMN postpone_count INTEGER",
    "ALTER TABLE duly_messages ADD COLUMN put_back INTEGER",
    "ALTER TABLE duly_messages ADD COLUMN died_at INTEGER",
    "ALTER TABLE duly_messages ADD COLUMN error_class TEXT",
    # What follows a series, as JSON, and who declared it, with which generation.
    "ALTER TABLE duly_messages ADD COLUMN successor TEXT",
    "ALTER TABLE duly_messages ADD COLUMN declared_by TEXT",
    "ALTER TABLE duly_messages ADD COLUMN generation INTEGER",
    """\
CREATE INDEX duly_messages_declared ON duly_messages (declared_by, generation)
WHERE declared_by IS NOT NULL""",
    # All that recur, wherever they are.
    "CREATE INDEX duly_messages_series ON duly_messages (key) WHERE recurrence IS NOT NULL",
    # The newest generation that each has declared.
    """\
CREATE TABLE duly_floors (
    declared_by TEXT NOT NULL PRIMARY KEY,
    generation INTEGER NOT NULL
) WITHOUT ROWID""",
    # What stands aside, of each event name in a line of its own.
    """\
CREATE TABLE duly_aside (
    event_name TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    key INTEGER NOT NULL,
    PRIMARY KEY (event_name, due_at, key)
) WITHOUT ROWID""",
    # What may be done that older versions do not expect.
    "CREATE TABLE duly_marks (name TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID",
    sql_schema.MAKE_NOTES,
    "INSERT INTO duly_schema (version, usable_from) VALUES (3, 1)",
)

STEPS: Final = (_FIRST, _SECOND, _THIRD)
"""The statements that bring a schema from version 0, which is nothing, to 1, and so on."""

_MARKED_SINCE: Final = 3

VERSION: Final = len(STEPS)
"""The version of the schema that this code makes. One usable only by later code is refused."""


def pending(db: sqlite3.Cursor, path: Path, *, marks: bool) -> Sequence[str]:
    """The statements that this database still needs; none when its schema is current.

    ``marks``: the mark of lines too. A new database has it from the beginning.

    Raises:
        StoreError: something else made a table of this name, or a newer version did.
    """
    found = db.execute(sql_schema.OUR_TABLES).fetchall()
    if not found:
        return all_statements()
    try:
        version, usable_from = db.execute(sql_schema.VERSIONS).fetchone()
        if isinstance(usable_from, int) and usable_from > VERSION:
            raise newer(path, usable_from)
        outdated = isinstance(version, int) and version < VERSION
        noted = outdated or db.execute(sql_schema.ANY_NOTES).fetchone() is not None
        for probe in (
            sql_schema.OLD_PROBES if outdated else sql_schema.PROBES[: None if noted else -1]
        ):
            db.execute(probe)
    except sqlite3.OperationalError as error:
        raise _foreign(path, [name for (name,) in found], str(error)) from error
    if not (isinstance(version, int) and isinstance(usable_from, int)):
        raise _foreign(path, ["duly_schema"], "it names no version")
    statements = _from(version) if outdated else () if noted else (sql_schema.MAKE_NOTES,)
    if marks and (version < _MARKED_SINCE or not db.execute(sql_lines.MARKED).fetchone()):
        statements = (*statements, sql_lines.MARK)
    return statements


def newer(path: Path, usable_from: int) -> StoreError:
    """The error for a schema that is made for a later version."""
    return StoreError(
        f"SQLite file {path}: its schema is usable from version {usable_from} on, this "
        f"duly-sqlite has version {VERSION}: upgrade it"
    )


def all_statements() -> Sequence[str]:
    """The statements that an empty database needs."""
    return (*_from(0), sql_lines.MARK)


def prepare(db: sqlite3.Cursor, path: Path, *, marks: bool) -> Sequence[str]:
    """Bring the schema up to date within the transaction at hand; the statements that were run."""
    statements = pending(db, path, marks=marks)
    for statement in statements:
        db.execute(statement)
    return statements


def _from(version: int) -> Sequence[str]:
    return [statement for step in STEPS[version:] for statement in step]


def _foreign(path: Path, names: Sequence[str], reason: str) -> StoreError:
    return StoreError(
        f"SQLite file {path}: it has tables that are not what duly makes "
        f"({', '.join(names)}: {reason}): choose another file, or remove them"
    )
