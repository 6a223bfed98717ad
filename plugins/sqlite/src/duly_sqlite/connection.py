"""One connection in one thread of its own, and transactions on it."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from duly import StoreError, StoreUnavailable

from duly_sqlite.errors import code_of, translated

__all__ = ["Call", "ConnectionThread", "patiently", "transaction"]

T = TypeVar("T")

PATIENCE: Final = 5.0
"""For how many seconds a lock that others hold is waited for."""

_SHORTEST, _LONGEST = 0.0003, 0.005  # seconds between two tries for a lock


class Call:
    """One call under way; ``abandoned`` once nobody waits for its outcome any more."""

    abandoned = False


class ConnectionThread:
    """Runs what is asked of it one by one, in a thread that alone uses the connection."""

    def __init__(self, path: Path, name: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._path = path
        self._name = name
        self._connect = connect
        self._executor: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        """Start the thread and connect; again does nothing."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        try:
            await self._submit(self._opened)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End what is under way, disconnect and end the thread; again does nothing."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(executor, self._disconnect)
        finally:
            executor.shutdown(wait=False)

    async def run(self, work: Callable[[sqlite3.Connection, Call], T]) -> T:
        """The outcome of ``work``, which is finished even if the caller is cancelled meanwhile.

        Raises:
            StoreError: what SQLite raised, translated; or not open.
        """
        call = Call()
        try:
            return await self._submit(lambda: work(self._open_connection(), call))
        except asyncio.CancelledError:
            call.abandoned = True
            raise

    async def _submit(self, work: Callable[[], T]) -> T:
        if self._executor is None:
            raise StoreError(f"SQLite file {self._path}: the store is not open")

        def translating() -> T:
            with translated(self._path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._executor, translating)

    def _opened(self) -> None:
        if self._connection is None:
            with translated(self._path, opening=True):
                self._connection = self._connect()

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"SQLite file {self._path}: the store is not open")
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()


def patiently(step: Callable[[], T], call: Call) -> T:
    """What ``step`` brings once no other connection holds the lock it needs.

    SQLite's own way to wait sleeps up to 100 ms at a time, in which a busy neighbour takes the lock
    dozens of times.

    Raises:
        StoreUnavailable: the caller has gone while the lock was waited for.
        sqlite3.OperationalError: the lock could not be had for :data:`PATIENCE`.
    """
    give_up_at = time.monotonic() + PATIENCE
    pause = _SHORTEST
    while True:
        try:
            return step()
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up_at:
                raise
            if call.abandoned:
                raise StoreUnavailable("given up by the caller") from error
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST)


def transaction(
    connection: sqlite3.Connection, work: Callable[[sqlite3.Cursor], T], call: Call
) -> T:
    """What ``work`` brings, all of it done or nothing, alone among all who write to the file.

    Nothing is done for a caller who has gone.
    """
    patiently(lambda: connection.execute("BEGIN IMMEDIATE"), call)
    try:
        outcome = work(connection.cursor())
        _commit(connection, call)
    except BaseException:
        if connection.in_transaction:  # some errors end it by themselves
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return outcome


def _commit(connection: sqlite3.Connection, call: Call) -> None:
    if call.abandoned:
        raise StoreUnavailable("given up by the caller")
    patiently(lambda: connection.execute("COMMIT"), call)
