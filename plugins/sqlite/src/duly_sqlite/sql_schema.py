"""The statements by which a file is found to be ours."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import Record

OUR_TABLES: Final = """\
SELECT name FROM sqlite_master
WHERE name IN ('duly_schema', 'duly_messages', 'duly_due', 'duly_leases') ORDER BY name"""

# With a rowid: a value may be large.
MAKE_NOTES: Final = """\
CREATE TABLE duly_notes (
    name TEXT NOT NULL PRIMARY KEY,
    revision TEXT NOT NULL,
    value BLOB NOT NULL
)"""

ANY_NOTES: Final = "SELECT 1 FROM sqlite_master WHERE name = 'duly_notes'"
"""A file may lack them that had its other tables from a version under way."""

VERSIONS: Final = "SELECT max(version), max(usable_from) FROM duly_schema"

_NEW_COLUMNS: Final = (
    "given_at", "postpone_count", "put_back", "died_at", "error_class", "successor", "declared_by",
    "generation",
)  # fmt: skip

OLD_PROBES: Final = tuple(
    f"SELECT {columns} FROM {table} LIMIT 0"
    for table, columns in {
        "duly_messages": ", ".join(
            ["key", "due_at", "lapses", "dead"]
            + [name for name in Record._fields if name not in _NEW_COLUMNS]
        ),
        "duly_due": "suspect, due_at, key",
        "duly_leases": "token, expires_at, owner, keys",
    }.items()
)
"""They succeed if the tables are those of the first version, or of a later one."""

PROBES: Final = (
    *OLD_PROBES,
    f"SELECT {', '.join(_NEW_COLUMNS)} FROM duly_messages LIMIT 0",
    "SELECT event_name, due_at, key FROM duly_aside LIMIT 0",
    "SELECT name FROM duly_marks LIMIT 0",
    "SELECT name, revision, value FROM duly_notes LIMIT 0",
)
"""They succeed if the tables have the columns that are needed."""
