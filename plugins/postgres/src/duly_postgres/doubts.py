"""What is unsafe, or slower than it could be, in a database and the way to it."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from collections.abc import Sequence
from typing import Any, Final

from duly_postgres.connection import Executor
from duly_postgres.indexes import lacking
from duly_postgres.marking import MARKED, UNMARKED
from duly_postgres.migrating import COMMAND
from duly_postgres.names import Names

__all__ = ["POOLED", "doubts"]

POOLED: Final = (
    "a transaction pooler is in front of PostgreSQL: schedulers are not woken by what other "
    "processes schedule and look every five seconds; give duly the address of the server itself"
)

_ASK: Final = f"""\
SELECT
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync,
    {MARKED} AS marked,
    current_setting('full_page_writes') AS full_page_writes,
    ARRAY(
        SELECT relname::text FROM pg_class WHERE relpersistence = 'u' AND oid = ANY (
            ARRAY[
                '{{messages}}'::regclass, '{{due}}'::regclass, '{{leases}}'::regclass,
                '{{floors}}'::regclass, '{{aside}}'::regclass
            ]::oid[]
        )
    ) AS unlogged"""


async def doubts(db: Executor, names: Names) -> Sequence[str]:
    """One sentence each; none when all is well."""
    (row,) = await db.fetch(names(_ASK))
    found = list(_found(row))
    if not row["marked"]:
        found.append(f"{UNMARKED}{COMMAND}")
    if await lacking(db, names):
        found.append(f"indexes are missing, so that claims or lists are slow: {COMMAND}")
    return found


def _found(row: Any) -> Sequence[str]:
    found = []
    if row["synchronous_commit"] == "off":
        found.append("synchronous_commit is off: what was accepted may be lost with the server")
    found += [
        f"{name} is off: the database may be damaged when the server dies"
        for name in ("fsync", "full_page_writes")
        if row[name] == "off"
    ]
    found += [f"the table {name} is unlogged: a crash empties it" for name in row["unlogged"]]
    return found
