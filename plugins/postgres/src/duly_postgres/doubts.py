"""What is unsafe, or slower than it could be, in a database and the way to it."""
# ruff: noqa: S608  # what is put together are constants of this package, never values

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from duly.health import Doubt, clock_doubts
from duly_postgres.connection import Executor
from duly_postgres.indexes import lacking
from duly_postgres.marking import MARKED, UNMARKED
from duly_postgres.migrating import COMMAND
from duly_postgres.names import Names

__all__ = ["POOLED", "doubts"]

POOLED: Final = Doubt(
    "a transaction pooler is in front of PostgreSQL",
    thing="pooler",
    found="between transactions",
    advice="schedulers are not woken by what other processes schedule and look every five seconds; "
    "give duly the address of the server itself",
)

_ASK: Final = f"""\
SELECT
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync,
    extract(epoch FROM clock_timestamp())::float8 AS clock,
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
    asked = datetime.now(UTC)
    (row,) = await db.fetch(names(_ASK))
    theirs = datetime.fromtimestamp(row["clock"], UTC)
    found = [*_found(row), *clock_doubts("PostgreSQL", theirs, asked, datetime.now(UTC))]
    if not row["marked"]:
        means = UNMARKED.removesuffix(": ")
        found.append(Doubt(means, thing="mark", found="lacks", advice=COMMAND))
    if missing := await lacking(db, names):
        means = "indexes are missing, so that claims or lists are slow"
        number = f"{len(missing)} statements"
        found.append(Doubt(means, thing="indexes", found=f"lack {number}", advice=COMMAND))
    return found


def _found(row: Any) -> Sequence[Doubt]:
    found = []
    if row["synchronous_commit"] == "off":
        means = "synchronous_commit is off: what was accepted may be lost with the server"
        found.append(Doubt(means, thing="synchronous_commit", found="off", breaks=True))
    for name in ("fsync", "full_page_writes"):
        if row[name] == "off":
            means = f"{name} is off: the database may be damaged when the server dies"
            found.append(Doubt(means, thing=name, found="off", breaks=True))
    for name in row["unlogged"]:
        means = f"the table {name} is unlogged: a crash empties it"
        found.append(Doubt(means, thing=f"table {name}", found="unlogged", breaks=True))
    return found
