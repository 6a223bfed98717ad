"""Making connections: through the engine, and out of its pool."""

import asyncio
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from duly import StoreError, StoreUnavailable
from duly_postgres.connection import Connection
from duly_postgres.errors import translated

__all__ = ["SETTINGS", "Connector"]

_PATIENCE: Final = 10.0  # seconds until a server that does not answer is given up
_OLDEST: Final = 140000  # of the servers that are served, as server_version_num says it

# Every statement finds its rows by an index and takes them one by one. A plan made while the
# tables are small must not be kept for when they are large: nothing else is left to the planner.
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
    CASE WHEN pg_backend_pid() = $1 THEN ARRAY[{
    ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SETTINGS.items())
}] END"""
"""Settings are made unless someone stands between: they would then be made for others."""


class Connector:
    """Makes connections of the store's own, as the engine makes them.

    They are taken out of the engine's pool, so that the store and the application never wait for
    each other's connections, and are closed by the store.
    """

    def __init__(self, engine: AsyncEngine, place: object) -> None:
        self._engine = engine
        self._place = place
        self.pooled = False
        """Whether a pooler was found to stand between, at the last connection."""

    async def connect(self) -> Connection:
        """One more connection, set up.

        Raises:
            StoreUnavailable: nobody answers, or a standby does.
            StoreError: it will not do: wrong credentials, no such database, too old.
        """
        with translated(self._place):
            try:
                async with asyncio.timeout(_PATIENCE):
                    driver = await self._detached()
                    try:
                        return await self._set_up(driver)
                    except BaseException:
                        driver.terminate()
                        raise
            except TimeoutError as error:
                raise StoreUnavailable(
                    f"PostgreSQL, {self._place}: it cannot be reached (no answer in "
                    f"{_PATIENCE:g} s)"
                ) from error

    async def _detached(self) -> Any:
        proxied = await self._engine.raw_connection()
        driver = proxied.driver_connection
        proxied.detach()
        return driver

    async def _set_up(self, driver: Any) -> Connection:
        # What comes out of a pool may be in use as far as it knows.
        if driver.is_in_transaction():
            await driver.execute("ROLLBACK")
        ours = driver.get_server_pid()
        connection = Connection(driver, pooled=True)
        (found,) = await connection.fetch(_SET_UP, ours)
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
