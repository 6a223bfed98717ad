"""What a store works with while it is open: connections, names, and wake-ups."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine

from duly import StoreError, StoreUnavailable
from duly_postgres.connection import Connection, Executor
from duly_postgres.connections import Connections, Work
from duly_postgres.connector import Connector
from duly_postgres.database import Database
from duly_postgres.doubts import POOLED
from duly_postgres.errors import cause_of, is_held, is_taken, translated
from duly_postgres.later import do
from duly_postgres.limits import BRIEF
from duly_postgres.names import Names
from duly_postgres.notifying import Listener, Notifier
from duly_postgres.old_rows import told
from duly_postgres.sql_storing import NOTIFY, NOTIFY_WITHIN
from duly_postgres.upkeep import Upkeep
from duly_postgres.usable import Usable
from duly_postgres.wakeups import Bell
from duly_postgres.within import guest

__all__ = ["Desk"]

T = TypeVar("T")

_CALLERS, _SCHEDULERS = 3, 2  # connections of each kind
_BRIEF: Final = timedelta(milliseconds=50)  # for which callers wait for locks before a new try
_PAUSE: Final = 0.1  # seconds between two tries to get what somebody's transaction holds
_TRIES: Final = 5  # in a caller's transaction, to store an id that somebody else was storing

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
        self.callers = Connections(self._connector, _CALLERS, self.place, brief=_BRIEF)
        self.schedulers = Connections(self._connector, _SCHEDULERS, self.place, brief=BRIEF)
        self.bell = Bell()
        self.notifier = Notifier(self._notify)
        self.usable = Usable()
        self.upkeep = Upkeep()
        self._listener: Listener | None = None
        self._turn = asyncio.Lock()
        self._waiting = asyncio.Lock()  # those who wait for others' transactions use one connection
        self._is_open = False

    @property
    def pooled(self) -> bool:
        """Whether a transaction pooler is in front of the server."""
        return self._connector.pooled

    def doubts(self) -> Sequence[str]:
        """What is wrong at present, one sentence each."""
        found: list[str] = [POOLED] if self.pooled else []
        if self.upkeep.done:
            found.append(told(self.upkeep.done))
        if self._listener is not None and self._listener.trouble is not None:
            found.append(f"schedulers are not woken at present ({self._listener.trouble})")
        if self.notifier.trouble is not None:
            found.append(
                f"schedulers of other processes are not told at present ({self.notifier.trouble})"
            )
        return found

    async def open(
        self,
        prepare: Callable[[Connection, Names], Coroutine[Any, Any, bool]],
        time_limit: timedelta | None,
    ) -> None:
        """Connect, find the place of the tables and prepare them; a second time does nothing.

        ``prepare`` tells if something is left to do while the store is in use. ``time_limit``: for
        how long callers wait for an answer, None if unknown.
        """

        async def work(db: Connection) -> bool:
            async with db.unlimited():
                self.names = await self._located(db)
                await self._database.find(db)
                to_do = await self._connector.attended(db, prepare(db, self.names))
                self.usable.known()
                return to_do

        async with self._turn:
            self._connector.time_limit = time_limit
            if self._is_open:
                return
            self.callers.open()
            try:
                to_do = await self.callers.run(work)
            except BaseException:
                await self.callers.close()
                raise
            if to_do:
                self.upkeep.start(lambda: self.apart(do))
            self.schedulers.open()
            self._is_open = True

    async def close(self) -> None:
        """Close all that was opened; a second time does nothing."""
        async with self._turn:
            if not self._is_open:
                return
            self._is_open = False
            await self.upkeep.close()
            if self._listener is not None:
                await self._listener.close()
                self._listener = None
            await self.notifier.close()
            await asyncio.gather(self.callers.close(), self.schedulers.close())
        # The next one to open may live on another event loop.
        self._turn, self._waiting = asyncio.Lock(), asyncio.Lock()

    def listen(self) -> None:
        """From now on, ring the bell when other processes send a note."""
        if self._is_open and not self.pooled and self._listener is None:
            self._listener = Listener(self._connector, self.names.channel, self.bell)
            self._listener.start()

    async def apart(self, work: Callable[[Connection, Names], Coroutine[Any, Any, T]]) -> T:
        """Do something on a connection made for it, whether the store is open or not."""
        connection = await self._connector.connect()
        try:
            with translated(self.place):
                names = await self._located(connection)
                return await self._connector.attended(connection, work(connection, names))
        finally:
            await connection.close()

    async def change(
        self,
        work: Callable[[Executor], Awaitable[tuple[T, bool]]],
        within: Any = None,
        *,
        past: Work[tuple[T, bool]] | None = None,
    ) -> T:
        """The result of a caller's verb; schedulers are told if something is due soon.

        ``past`` is for the case that others hold what it needs; without it the verb is tried again
        and again.
        """
        if within is not None:
            return await self._within(work, within)
        outcome, soon = await self._ask(self._while_usable(work), past)
        if soon:
            self.notifier.tell()
        return outcome

    async def _within(
        self, work: Callable[[Executor], Awaitable[tuple[T, bool]]], within: Any
    ) -> T:
        """The same in the caller's own transaction, whose commit tells schedulers."""
        caller = await guest(within)
        with translated(self.place):
            await self._database.admit(caller)
            await self.usable.see(caller, self.names)
            outcome, soon = await _repeated(work, caller)
            if soon and not caller.prepared:
                await caller.fetch(self.names(NOTIFY_WITHIN))
        return outcome

    async def look(self, work: Callable[[Executor], Awaitable[T]], within: Any) -> T:
        """What a read finds, in the caller's own transaction or not."""
        if within is None:
            return await self._ask(self._while_usable(work), None)
        caller = await guest(within)
        with translated(self.place):
            await self._database.admit(caller)
            return await self._while_usable(work)(caller)  # once: it undoes nothing if it fails

    async def ask(self, work: Work[T]) -> T:
        """The result of work on a connection of ours, whether this code may go on or not."""
        return await self._ask(work, None)

    async def _ask(self, work: Work[T], past: Work[T] | None) -> T:
        if past is not None:
            return await self.callers.run(
                lambda db: db.unless_locked(lambda: work(db), lambda: past(db))
            )
        give_up_at: float | None = None
        while True:
            try:
                if give_up_at is None:
                    return await self.callers.run(work)
                async with self._waiting:
                    return await self.callers.run(work)
            except StoreUnavailable as error:
                now = asyncio.get_running_loop().time()
                give_up_at = give_up_at or now + self._connector.patience
                if not is_held(error) or now > give_up_at:
                    raise
            await asyncio.sleep(_PAUSE)

    def _while_usable(
        self, work: Callable[[Executor], Awaitable[T]]
    ) -> Callable[[Executor], Awaitable[T]]:
        async def see_first(db: Executor) -> T:
            await self.usable.see(db, self.names)
            return await work(db)

        return see_first

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
    """The result of work that is undone when it fails, as within a savepoint."""
    left = _TRIES
    while True:
        left -= 1
        try:
            return await work(db)
        except Exception as error:
            if not left or not is_taken(cause_of(error)):
                raise
