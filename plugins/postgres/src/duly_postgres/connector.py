"""Making connections: through the engine, and out of its pool."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from duly import StoreError, StoreUnavailable
from duly_postgres.connection import Connection
from duly_postgres.errors import cause_of, translated
from duly_postgres.limits import Limits

__all__ = ["SETTINGS", "Connector"]

T = TypeVar("T")

_PATIENCE: Final = 10.0  # seconds until a server that does not answer is given up
_LOOK: Final = 5.0  # seconds between two checks of a server that works for long
_LAST_WORDS: Final = 2.0
_WORKS: Final = "SELECT pid FROM pg_stat_activity WHERE pid = $1"
_OLDEST: Final = 140000  # of the servers that are served, as server_version_num says it

# Every statement finds its rows by an index and takes them one by one. The planner gets no other
# choice: a plan made while the tables are small may still be used when they are large.
SETTINGS: Final = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
    "default_transaction_isolation": "read committed",
}

_SET_UP: Final = f"""\
SELECT
    pg_backend_pid() AS pid,
    current_setting('server_version_num')::integer AS version,
    current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() AS standby,
    current_setting('transaction_read_only')::boolean AS only_reads,
    CASE WHEN pg_backend_pid() = $1 THEN ARRAY[{
    ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SETTINGS.items())
}, set_config('statement_timeout', coalesce($2, current_setting('statement_timeout')), false),
        set_config('lock_timeout', coalesce($3, current_setting('lock_timeout')), false)] END"""
"""Settings are made unless a pooler is between: they would then apply to others."""


class Connector:
    """Makes connections of the store's own, as the engine makes them.

    They come from a pool like the engine's, but leave it at once and are closed by the store: the
    store and the application never wait for each other's connections.
    """

    def __init__(self, engine: AsyncEngine, place: object) -> None:
        self._engine = create_async_engine(engine.url, pool=engine.pool.recreate())
        self._place = place
        self.pooled = False
        """Whether the last connection went through a pooler."""
        self.time_limit: timedelta | None = None
        """For how long callers wait; None if unknown."""

    @property
    def patience(self) -> float:
        """For how many seconds callers' verbs wait for what somebody's transaction holds."""
        return Limits(self.time_limit).patient / 1000

    async def connect(self, *, brief: timedelta | None = None) -> Connection:
        """One more connection, set up.

        ``brief`` is how long it waits for others' locks at first; None: for as long as it takes.

        Raises:
            StoreUnavailable: nobody answers, or a standby does.
            StoreError: it cannot be used: wrong credentials, no such database, too old.
        """
        with translated(self._place):
            try:
                async with asyncio.timeout(_PATIENCE):
                    driver = await self._detached()
                    try:
                        limits = None if brief is None else Limits(self.time_limit, brief)
                        return await self._set_up(driver, limits)
                    except BaseException:
                        driver.terminate()
                        raise
            except TimeoutError as error:
                raise StoreUnavailable(
                    f"PostgreSQL, {self._place}: it cannot be reached (no answer in "
                    f"{_PATIENCE:g} s)"
                ) from error

    async def attended(self, connection: Connection, work: Coroutine[Any, Any, T]) -> T:
        """The result of work on a connection, however long it takes, while its server lives."""
        task = asyncio.create_task(work)
        try:
            while not (await asyncio.wait([task], timeout=_LOOK))[0]:
                if not await self._lives(connection):
                    connection.terminate()
        except BaseException:
            task.cancel()
            await asyncio.wait([task], timeout=_LAST_WORDS)
            raise
        return task.result()

    async def _lives(self, connection: Connection) -> bool:
        """Whether the server still works for this connection, asked over another one."""
        try:
            other = await self.connect()
        except StoreError as error:  # a server that refuses is alive
            return error.__cause__ is None or isinstance(
                cause_of(error.__cause__), asyncpg.PostgresError
            )
        try:
            with translated(self._place):
                async with asyncio.timeout(_PATIENCE):
                    found = await other.fetch(_WORKS, connection.driver.get_server_pid())
                return other.pooled or bool(found)
        except (StoreError, TimeoutError):
            return False
        finally:
            await other.close()

    async def _detached(self) -> Any:
        proxied = await self._engine.raw_connection()
        driver = proxied.driver_connection
        proxied.detach()
        return driver

    async def _set_up(self, driver: Any, limits: Limits | None) -> Connection:
        # A connection from a pool may still count as in use.
        if driver.is_in_transaction():
            await driver.execute("ROLLBACK")
        ours = driver.get_server_pid()
        connection = Connection(driver, pooled=True, limits=limits)
        given = (None, None) if limits is None else (str(limits.statement), str(limits.lock))
        (found,) = await connection.fetch(_SET_UP, ours, *given)
        self._check(found)
        self.pooled = connection.pooled = found["pid"] != ours
        await connection.prepare_types()
        return connection

    def _check(self, found: Any) -> None:
        if found["version"] < _OLDEST:
            raise StoreError(
                f"PostgreSQL, {self._place}: its version is {found['version'] // 10000}; at least "
                f"{_OLDEST // 10000} is needed: upgrade the server"
            )
        if found["encoding"] != "UTF8":
            raise StoreError(
                f"PostgreSQL, {self._place}: the database has the encoding {found['encoding']}; "
                "only UTF8 holds every text: make another database"
            )
        if found["standby"]:
            raise StoreUnavailable(
                f"PostgreSQL, {self._place}: this server is a standby, which only reads: connect "
                "to the primary"
            )
        if found["only_reads"]:
            raise StoreUnavailable(
                f"PostgreSQL, {self._place}: this server is no standby, but only reads: "
                "default_transaction_read_only is on, for it, this database or this user"
            )
