"""Work that must read every message: done while the store is in use, without holding it up."""

from collections.abc import Sequence
from typing import Final

from duly_postgres.connection import Connection
from duly_postgres.ddl import CHECKED_FROM, CHECKED_LATER
from duly_postgres.indexes import build, lacking
from duly_postgres.names import Names
from duly_postgres.old_rows import left, mend, statements, validating

__all__ = ["do", "to_do", "validated"]

_IS_OURS: Final = """\
SELECT pg_has_role(relowner, 'USAGE') AS is_ours
FROM pg_class WHERE oid = to_regclass('{messages}')"""


async def to_do(db: Connection, names: Names, version: int) -> Sequence[str]:
    """What a schema of that version still needs besides its steps, if this user may do it."""
    if not version:
        return [*map(names, validating(CHECKED_LATER))]
    if not all(row["is_ours"] for row in await db.fetch(names(_IS_OURS))):
        return []
    columns = await left(db, names) if version >= CHECKED_FROM else CHECKED_LATER
    return [*map(names, statements(columns)), *await lacking(db, names)]


async def do(db: Connection, names: Names) -> Sequence[str]:
    """Do it; the ids of messages that became dead letters for it."""
    mended = await mend(db, names)
    await build(db, names)
    return mended


async def validated(db: Connection, names: Names) -> Sequence[str]:
    """Validate the checks of tables that were just made; the statements for it."""
    done = [*map(names, validating(await left(db, names)))]
    for statement in done:
        await db.fetch(statement)
    return done
