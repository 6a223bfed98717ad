"""The statements about series that are declared, and what follows them."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from typing import Final

from duly.record import FORMAT, Record
from duly_sqlite import sql

# Of the keys of a JSON array; what only a newer version can read is left to that.
SUCCESSORS: Final = f"""\
SELECT key, successor FROM duly_messages
WHERE key IN (SELECT value FROM json_each(?)) AND successor IS NOT NULL AND format <= {FORMAT}"""

FLOOR: Final = "SELECT generation FROM duly_floors WHERE declared_by = ?"

RAISE_FLOOR: Final = "INSERT OR REPLACE INTO duly_floors (declared_by, generation) VALUES (?, ?)"

STANDING: Final = f"""\
SELECT key, due_at, lapses, {sql.STATE}, dead = 2, successor, {sql.COLUMNS}
FROM duly_messages WHERE id = ?"""

TAKE_BACK: Final = "UPDATE duly_messages SET dead = 0, lapses = 0 WHERE key = ?"

FOLLOWED: Final = f"""\
SELECT key, due_at, lapses, {sql.STATE} FROM duly_messages WHERE id = ? AND successor IS NOT NULL"""

# What follows needs a reader that knows of it.
REWRITE: Final = f"""\
UPDATE duly_messages
SET due_at = ?, lapses = ?, successor = ?, {", ".join(f"{name} = ?" for name in Record._fields)}
WHERE key = ?"""

NEEDS_READER: Final = "UPDATE duly_messages SET format = max(format, 2) WHERE key = ?"

DECLARE: Final = "UPDATE duly_messages SET declared_by = ?, generation = ? WHERE key = ?"

# Nothing of the record is touched.
DECLARE_AGAIN: Final = f"{DECLARE} AND declared_by IS NOT NULL"

DECLARED_BEFORE: Final = "SELECT id FROM duly_messages WHERE declared_by = ? AND generation < ?"
