"""Statements that need a lock on a whole table: they wait for it a little, and try again.

While one waits for such a lock, all who come later wait too, and the lock may be held for hours.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import asyncpg

from duly import StoreUnavailable
from duly_postgres.connection import Connection, Row

__all__ = ["COMMAND", "in_turn", "patiently"]

T = TypeVar("T")

COMMAND: Final = (
    """run python -c "import duly.sync; duly.sync.Client('URL').migrate()" """
    "with the URL of this store in place of URL, or, if the store is an object of yours, await "
    "store.migrate() before it is opened"
)
"""How a user brings the schema up to date."""

PATIENCE: Final = 60.0
"""Seconds after which the lock is given up."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0  # seconds between two tries

_SETTINGS: Final = """\
SELECT set_config('lock_timeout', '1s', true), set_config('statement_timeout', '0', true)"""

_HOLDERS: Final = """\
SELECT coalesce(string_agg(DISTINCT a.pid || ' (' || a.application_name || ')', ', '), '') AS who
FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE l.granted AND l.pid <> pg_backend_pid() AND a.datname = current_database()
    AND a.xact_start < now() - interval '1 second' AND l.locktype = 'relation'"""


async def patiently(db: Connection, work: Callable[[], Awaitable[T]]) -> T:
    """The result of work in a transaction of its own; repeated while others hold a lock.

    Raises:
        StoreUnavailable: they hold it for :data:`PATIENCE`.
    """
    clock = asyncio.get_running_loop().time
    give_up_at, pause = clock() + PATIENCE, _FIRST_PAUSE
    while True:
        try:
            async with db.transaction():
                await db.fetch(_SETTINGS)
                return await work()
        except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
            if clock() > give_up_at:
                (row,) = await db.fetch(_HOLDERS)
                raise StoreUnavailable(
                    "PostgreSQL: the schema cannot be brought up to date while other transactions "
                    f"hold locks on its tables: those of the processes {row['who']}"
                ) from error
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def in_turn(db: Connection, statement: str) -> Sequence[Row]:
    """The rows of a single statement run in this way."""
    return await patiently(db, lambda: db.fetch(statement))
