"""Makes indexes that a table in use lacks, while the store goes on, however large it is."""

import asyncio
from collections.abc import Sequence
from typing import Final

from duly_postgres.connection import Connection, Executor
from duly_postgres.ddl import INDEXES
from duly_postgres.names import Names

__all__ = ["build", "lacking"]

_PAUSE: Final = 1.0  # seconds between two checks whether another process is done

_FOUND: Final = """\
SELECT c.relname::text AS name, i.indisvalid AS is_valid, EXISTS (
    SELECT FROM pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid
) AS is_being_made
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indrelid IN (to_regclass('{messages}'), to_regclass('{leases}'))"""

_TRY: Final = "SELECT pg_try_advisory_lock($1::bigint) AS is_ours"
_LET_GO: Final = "SELECT pg_advisory_unlock($1::bigint)"


async def lacking(db: Executor, names: Names) -> Sequence[str]:
    """The statements for indexes that are missing or that somebody began and left undone."""
    found = {row["name"]: row for row in await db.fetch(names(_FOUND))}
    statements = []
    for index, where in INDEXES.items():
        there = found.get(names(index).strip('"'))
        if there is not None and (there["is_valid"] or there["is_being_made"]):
            continue
        place = names("{messages}").rpartition(".")[0]
        if there is not None:
            statements.append(f"DROP INDEX CONCURRENTLY IF EXISTS {place}.{names(index)}")
        statements.append(names(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index} ON {where}"))
    return statements


async def build(db: Connection, names: Names) -> None:
    """Make them; if several processes try, one does it and the others wait for it."""
    if not await lacking(db, names):
        return
    lock = names.lock ^ 1  # another than that of migrations
    # No statement waits for this lock: whoever makes an index waits for statements to end.
    while not db.pooled and not (await db.fetch(_TRY, lock))[0]["is_ours"]:  # noqa: ASYNC110  # elsewhere
        await asyncio.sleep(_PAUSE)
    try:
        for statement in await lacking(db, names):
            await db.run_alone(statement)
    finally:
        if not db.pooled and db.usable:
            await db.fetch(_LET_GO, lock)
