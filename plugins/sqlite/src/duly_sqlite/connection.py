"""One connection in one thread of its own, and transactions on it."""

import asyncio
import contextlib
import os
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
    regret: Callable[[sqlite3.Connection], object] | None = None
    """Undoes an outcome that nobody has got; may be called twice."""


class _Line:
    """A thread and its connection, None until it is made and when it is closed."""

    def __init__(self, name: str) -> None:
        self.executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.connection: sqlite3.Connection | None = None
        self.openers = 0  # callers that wait for the connection
        self.pid = os.getpid()

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def end(self, error: BaseException | None = None) -> None:
        """End the thread: at once, unless it still works for a caller that has gone."""
        self.executor.shutdown(wait=not isinstance(error, asyncio.CancelledError))


class ConnectionThread:
    """Runs what is asked of it one by one, in a thread that alone uses the connection."""

    def __init__(self, path: Path, name: str, connect: Callable[[], sqlite3.Connection]) -> None:
        self._path = path
        self._name = name
        self._connect = connect
        self._line: _Line | None = None

    async def open(self) -> None:
        """Start the thread and connect; a second time does nothing.

        If a caller gives up, it goes on connecting: others may wait for the same connection.

        Raises:
            StoreError: what SQLite raised, translated.
        """
        if self._line is None:
            self._line = _Line(self._name)
        line = self._line
        self._see_process(line)
        line.openers += 1
        try:
            await self._submit(line, lambda: self._connect_once(line))
        except Exception:
            if line is self._line and line.connection is None and line.openers == 1:
                self._line = None
                line.executor.submit(line.disconnect)  # it may still work for a caller that is gone
                line.end()
            raise
        finally:
            line.openers -= 1

    async def close(self) -> None:
        """Finish the calls so far, disconnect and end the thread; a second time does nothing."""
        line, self._line = self._line, None
        if line is None or line.pid != os.getpid():  # it is the parent's, and so is the file
            return
        try:
            await self._submit(line, line.disconnect)
        except BaseException as error:
            line.end(error)
            raise
        line.end()

    async def run(self, work: Callable[[sqlite3.Connection, Call], T]) -> T:
        """The outcome of ``work``, which comes to its end even if the caller is cancelled.

        Raises:
            StoreError: what SQLite raised, translated; or the thread is not open.
        """
        line, call = self._line, Call()
        if line is None:
            raise self._not_open()
        self._see_process(line)

        def run() -> T:
            if line.connection is None:
                raise self._not_open()
            return work(line.connection, call)

        try:
            return await self._submit(line, run)
        except asyncio.CancelledError:
            call.abandoned = True
            if call.regret is not None:  # it was answered just as the caller gave up
                self._undo(line, call.regret)
            raise

    def _undo(self, line: _Line, regret: Callable[[sqlite3.Connection], object]) -> None:
        def run() -> None:
            if line.connection is not None:
                with contextlib.suppress(StoreError), translated(self._path):
                    regret(line.connection)

        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            line.executor.submit(run)

    async def _submit(self, line: _Line, work: Callable[[], T]) -> T:
        def translating() -> T:
            with translated(self._path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(line.executor, translating)

    def _see_process(self, line: _Line) -> None:
        if line.pid != os.getpid():  # its thread does not exist here, and would be waited for
            raise StoreError(
                f"SQLite file {self._path}: opened before this process was forked off: make "
                "another store in each process"
            )

    def _connect_once(self, line: _Line) -> None:
        if line.connection is None:
            with translated(self._path, opening=True):
                line.connection = self._connect()

    def _not_open(self) -> StoreError:
        return StoreError(f"SQLite file {self._path}: the store is not open")


def patiently(step: Callable[[], T], call: Call) -> T:
    """The result of ``step`` once no other connection holds the lock it needs.

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
    """The result of ``work``, all of it done or nothing, while nobody else writes to the file.

    Nothing is done for a caller that has gone.
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
