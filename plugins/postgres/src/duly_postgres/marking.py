"""The mark without which nothing is moved aside: schedulers of older versions would not find it.

A new namespace has it from the beginning, an older one once somebody calls ``migrate()``.
"""

from typing import Final

from duly_postgres.connection import Executor
from duly_postgres.names import Names

__all__ = ["MARKED", "UNMARKED", "marked"]

_SINCE: Final = 5
"""The version of the schema that brought it."""

MARKED: Final = "(SELECT true FROM {version} WHERE lines LIMIT 1) IS NOT NULL"

UNMARKED: Final = (
    "these tables are of an earlier version, so that an event name with a large backlog may hold "
    "up the others: once no process of that version is left, "
)
"""Said of tables that are not marked, before what to do."""


async def marked(db: Executor, names: Names, version: int) -> bool:
    """Whether the tables, of that version, have it."""
    if version < _SINCE:
        return False
    ((found,),) = await db.fetch(names(f"SELECT {MARKED}"))
    return bool(found)
