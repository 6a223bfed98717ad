"""The store: every verb of the contract, each one transaction in the writer's thread."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from duly import Filter, Message, State, Stats, StoreError
from duly.moment import to_microseconds
from duly.store import (
    NO_LIMITS,
    Batch,
    Clock,
    Declared,
    Ensured,
    Group,
    Key,
    Rooms,
    Settle,
    Token,
    Whereabouts,
)
from duly_sqlite import claiming, file, listing, series, storing
from duly_sqlite.connection import ConnectionThread
from duly_sqlite.counting import Counting
from duly_sqlite.notes import Notes
from duly_sqlite.settling import settle_all
from duly_sqlite.sidings import Turn
from duly_sqlite.usable import Usable
from duly_sqlite.within import TRANSACTIONS, cursor, savepoint
from duly_sqlite.writing import Writer

__all__ = ["SQLiteStore"]

T = TypeVar("T")


class SQLiteStore(Notes, Counting):
    """Keeps messages in a file: ``Scheduler(SQLiteStore("orders.db"), transport)``.

    Any number of processes of one host may share the file, with stores and with connections of
    their own. ``path`` is that of a file, which is made if it is missing; its folder must exist.
    ``clock`` None is this host's. :class:`duly.store.Store` tells what each verb does.

    Raises:
        InvalidArgument: the path is empty, ``:memory:``, or holds a NUL character.
    """

    any_loop = True
    lines = True
    lists_without_payloads = True
    one_host = True
    transactions = TRANSACTIONS

    def __init__(self, path: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        self._path = file.absolute(path)
        self._clock = clock
        self._writer = Writer(self._path)
        self._usable = Usable(self._path)
        self._turn = Turn()
        # It reads what was committed and holds nobody up, however long a list is.
        self._reader = ConnectionThread(
            self._path, "duly-sqlite-reader", lambda: file.reader(self._path)
        )

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r})"

    async def open(self) -> None:
        """Open the file and check that it is ours; one that is missing or empty is set up."""
        await self._writer.open()
        try:
            await self._reader.open()
        except Exception:
            await self._writer.close()
            raise

    async def close(self) -> None:
        """Finish what was asked for, close the file and end the threads."""
        try:
            await self._reader.close()
        finally:
            await self._writer.close()

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        """Store groups of messages, each whole or not at all."""
        return await self._act(lambda db: storing.put(db, groups), within)

    async def cancel(
        self, ids: Sequence[str], *, of_state: State | None = None, within: Any = None
    ) -> Sequence[State | None]:
        """Remove messages; the state each was found in."""
        return await self._act(lambda db: storing.cancel(db, ids, of_state), within)

    async def reschedule(
        self, id: str, at: datetime | None, *, of_state: State, within: Any = None
    ) -> State | None:
        """Move a message found in ``of_state``; the state it was found in."""
        return await self._act(lambda db: series.reschedule(db, id, at, of_state), within)

    async def get(self, id: str, *, within: Any = None) -> Message | None:
        """The message of that id, None when there is none."""
        return await self._look(lambda db: listing.get(db, id), within)

    async def list(
        self,
        filter: Filter,
        *,
        from_key: tuple[datetime, str] | None = None,
        payload: bool = True,
        within: Any = None,
    ) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        return await self._look(
            lambda db: listing.list_(db, filter, from_key, payload=payload), within
        )

    async def claim(
        self,
        *,
        limit: int,
        lease: timedelta,
        owner: str,
        suspects: bool = True,
        settle: Sequence[Settle] = (),
        most: Mapping[str, int] = NO_LIMITS,
    ) -> Batch:
        """First the settles, then up to ``limit`` due messages for ``lease``."""
        rooms = Rooms(most)

        def glance(db: sqlite3.Cursor) -> Batch | None:
            if settle:
                return None
            return claiming.nothing_due(db, self._now(), rooms, suspects=suspects)

        def work(db: sqlite3.Cursor) -> Batch:
            now = self._now()
            settled = settle_all(db, now, settle)
            try:
                self._usable.see(db)
            except StoreError:
                if not settle:
                    raise
                return claiming.nothing(now, settled)
            return claiming.claim(
                db,
                now,
                limit=limit,
                lease=lease,
                owner=owner,
                suspects=suspects,
                settled=settled,
                rooms=rooms,
                turn=self._turn,
            )

        return await self._writer.write(work, glance=glance, undo=claiming.give_back)

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        """Let leases last ``lease`` from now; the keys taken out of each, None for a lost one."""
        return await self._writer.write(lambda db: claiming.renew(db, self._now(), tokens, lease))

    async def lapse(self, owner: str) -> int:
        """End all leases of that owner; how many messages they held."""
        return await self._writer.write(
            lambda db: claiming.lapse(db, self._now(), owner), wakes=bool
        )

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        """Settle without a claim; False for a token that is not valid."""
        return await self._writer.write(lambda db: settle_all(db, self._now(), settles))

    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        """See to it that series are there as they are given; one outcome for each."""
        return await self._act(lambda db: series.ensure(db, self._now(), wanted, declared), None)

    async def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        """Remove what ``by`` has declared with a lower generation."""
        return await self._act(lambda db: series.undeclare(db, by, generation), None)

    async def where(self, id: str) -> Whereabouts | None:
        """In whose hands a message is, and until when; None when there is none."""
        return await self._look(lambda db: listing.where(db, id))

    async def stats(self) -> Stats:
        """How much there is, from the narrow tables."""
        return await self._look(lambda db: listing.stats(db, self._now()))

    async def wait_for_change(self) -> None:
        """Return when a store of this process on this file got something due earlier."""
        await self._writer.wait_for_change()

    async def changed(self) -> bool:
        """Whether another connection, of any process, wrote to the file since the last call."""
        return await self._writer.changed()

    def accepts(self, within: object) -> bool:
        """Whether ``within`` is a connection of the :mod:`sqlite3` module."""
        return isinstance(within, sqlite3.Connection)

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """The statements that bring the schema up to date; run, unless ``dry_run``.

        :meth:`open` does so by itself, but that it marks an older file for nothing: call this once
        no process uses it any more that knows of no sidings.
        """
        return await asyncio.to_thread(file.migrate, self._path, dry_run=dry_run)

    async def check(self) -> Sequence[str]:
        """What is unsafe in the file's settings, one sentence each."""
        return await self._writer.doubts()

    def _now(self) -> int:
        """In microseconds; rounded down, so that nothing is early."""
        return time.time_ns() // 1000 if self._clock is None else to_microseconds(self._clock())

    async def _act(self, work: Callable[[sqlite3.Cursor], T], within: object) -> T:
        def act(db: sqlite3.Cursor) -> T:
            self._usable.see(db)
            return work(db)

        if within is None:
            return await self._writer.write(act)
        # In the caller's thread, as sqlite3 demands. Nobody is woken: it is not committed yet.
        if isinstance(within, sqlite3.Connection):
            self._writer.files.see(within)
        with savepoint(within, self._path) as db:
            return act(db)

    async def _look(self, work: Callable[[sqlite3.Cursor], T], within: object = None) -> T:
        def look(db: sqlite3.Cursor) -> T:
            self._usable.see(db)
            return work(db)

        if within is None:
            return await self._reader.run(lambda connection, _: look(connection.cursor()))
        with cursor(within, self._path) as db:
            return look(db)
