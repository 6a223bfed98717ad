"""What a store works with while it is open: connections, names, and who is told of what."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from duly import StoreError
from duly_postgres.connection import Connection, Executor
from duly_postgres.connections import Connections
from duly_postgres.connector import Connector
from duly_postgres.database import Database
from duly_postgres.errors import cause_of, may_be_repeated, translated
from duly_postgres.names import Names
from duly_postgres.notifying import Listener, Notifier
from duly_postgres.sql_storing import NOTIFY, NOTIFY_WITHIN
from duly_postgres.wakeups import Bell
from duly_postgres.within import Guest

__all__ = ["Desk"]

T = TypeVar("T")

_CALLERS, _SCHEDULERS = 3, 2  # connections of each kind
_TRIES: Final = 5  # in a caller's transaction, of what others were in the way of

_PLACE: Final = """\
SELECT coalesce(
    (SELECT n.nspname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.oid = to_regclass($1)),
    current_schema()
)::text AS schema"""
"""Where the table is found by the search path, else where it would be made."""


class Desk:
    """Everything that is opened and closed with a store.

    Schedulers have connections of their own, so that no long list keeps them from renewing.
    """

    def __init__(self, engine: AsyncEngine, names: Names) -> None:
        self.place = f"{engine.url.host or 'local'}/{engine.url.database or ''}, {names}"
        self.names = names
        self._given = names
        self._database = Database()
        self._connector = Connector(engine, self.place)
        self.callers = Connections(self._connector, _CALLERS, self.place)
        self.schedulers = Connections(self._connector, _SCHEDULERS, self.place)
        self.bell = Bell()
        self.notifier = Notifier(self._notify)
        self._listener: Listener | None = None
        self._turn = asyncio.Lock()
        self._is_open = False

    @property
    def pooled(self) -> bool:
        """Whether a transaction pooler stands before the server."""
        return self._connector.pooled

    @property
    def deaf(self) -> StoreError | None:
        """Why schedulers are not woken at present."""
        return None if self._listener is None else self._listener.trouble

    async def open(self, prepare: Callable[[Connection, Names], Awaitable[None]]) -> None:
        """Connect, find the place of the tables and have them prepared; again does nothing."""

        async def work(db: Connection) -> None:
            self.names = await self._located(db)
            await self._database.find(db)
            await prepare(db, self.names)

        async with self._turn:
            if self._is_open:
                return
            self.callers.open()
            try:
                await self.callers.run(work)
            except BaseException:
                await self.callers.close()
                raise
            self.schedulers.open()
            self._is_open = True

    async def close(self) -> None:
        """Close all that was opened; again does nothing."""
        async with self._turn:
            if not self._is_open:
                return
            self._is_open = False
            if self._listener is not None:
                await self._listener.close()
                self._listener = None
            await self.notifier.close()
            await asyncio.gather(self.callers.close(), self.schedulers.close())
        self._turn = asyncio.Lock()  # the next one to open may live on another event loop

    def listen(self) -> None:
        """Have the bell rung for what others tell, from now on."""
        if self._is_open and not self.pooled and self._listener is None:
            self._listener = Listener(self._connector, self.names.channel, self.bell)
            self._listener.start()

    async def apart(self, work: Callable[[Connection, Names], Awaitable[T]]) -> T:
        """Do something on a connection made for it, whether the store is open or not."""
        connection = await self._connector.connect()
        try:
            with translated(self.place):
                return await work(connection, await self._located(connection))
        finally:
            await connection.close()

    async def within(
        self, work: Callable[[Executor], Awaitable[tuple[T, bool]]], guest: Guest
    ) -> T:
        """What a caller's verb brings in the caller's transaction; it tells when it commits."""
        with translated(self.place):
            await self._database.admit(guest)
            outcome, soon = await _repeated(work, guest)
            if soon:
                await guest.fetch(self.names(NOTIFY_WITHIN))
        return outcome

    async def _notify(self) -> None:
        await self.callers.run(lambda db: db.fetch(self.names(NOTIFY)))

    async def _located(self, db: Connection) -> Names:
        if self._given.schema is not None:
            return self._given
        (row,) = await db.fetch(_PLACE, f'"{self._given.table}"')
        if row["schema"] is None:
            raise StoreError(
                f"PostgreSQL, {self.place}: no schema of the search path exists; name one"
            )
        return self._given.within(row["schema"])


async def _repeated(
    work: Callable[[Executor], Awaitable[tuple[T, bool]]], db: Executor
) -> tuple[T, bool]:
    """What comes of work that undoes itself when it fails, as within a savepoint."""
    left = _TRIES
    while True:
        left -= 1
        try:
            return await work(db)
        except Exception as error:
            if not left or not may_be_repeated(cause_of(error)):
                raise
