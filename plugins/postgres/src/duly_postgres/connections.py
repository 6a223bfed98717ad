"""The connections of one kind of callers: few, kept open, each used by one call at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar

from duly import StoreError
from duly_postgres.connection import Connection
from duly_postgres.connector import Connector
from duly_postgres.errors import may_be_repeated, only_reads, translated, was_not_sent

__all__ = ["Connections", "Work"]

T = TypeVar("T")

_TRIES: Final = 5  # of a transaction that conflicted with others
_GRACE: Final = 5.0  # seconds that a call may go on when nobody waits for it any more
_LAST_WORDS: Final = 2.0  # seconds for the server to end it when it is told to

Work = Callable[[Connection], Awaitable[T]]
Undo = Callable[[Connection, T], Awaitable[object]]


class _Call:
    """One call under way; ``abandoned`` once nobody waits for its outcome any more."""

    connection: Connection | None = None
    abandoned = False


class Connections:
    """At most ``limit`` connections, made when they are needed."""

    def __init__(
        self, connector: Connector, limit: int, place: object, *, brief: timedelta
    ) -> None:
        self._connector = connector
        self._limit = limit
        self._brief = brief  # see Connector
        self._place = place
        self._slots: asyncio.Semaphore | None = None
        self._idle: list[Connection] = []
        self._calls: dict[asyncio.Task[Any], _Call] = {}

    def open(self) -> None:
        """Accept calls from now on, on the running event loop."""
        self._slots = asyncio.Semaphore(self._limit)

    async def close(self) -> None:
        """Let the calls under way end, within reason, and close the connections."""
        self._slots = None
        if self._calls:
            await asyncio.wait(self._calls, timeout=_GRACE)
        for task, call in list(self._calls.items()):
            _cut_off(task, call)
        if self._calls:
            await asyncio.wait(self._calls)
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.close() for connection in idle))

    async def run(self, work: Work[T], *, undo: Undo[T] | None = None) -> T:
        """The result of ``work``; once begun it comes to its end even if the caller is cancelled.

        It is repeated when it conflicted with others. ``undo`` is called with a result that nobody
        waits for any more.

        Raises:
            StoreError: what the driver raised, translated; or the store is not open.
        """
        call = _Call()
        task = self._start(self._run(work, call, undo), call)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            call.abandoned = True
            self._abandon(task, call, undo)
            raise

    def _start(self, work: Coroutine[Any, Any, T], call: _Call) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._calls[task] = call
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: "asyncio.Task[Any]") -> None:
        del self._calls[task]
        if not task.cancelled():
            task.exception()  # it may be that nobody asks for it

    def _abandon(self, task: "asyncio.Task[T]", call: _Call, undo: Undo[T] | None) -> None:
        if not task.done():
            if call.connection is None:
                task.cancel()  # nothing was sent to the server yet
            else:
                timer = asyncio.get_running_loop().call_later(_GRACE, _cut_off, task, call)
                task.add_done_callback(lambda _: timer.cancel())
        elif undo is not None and not task.cancelled() and task.exception() is None:
            outcome, undoing = task.result(), _Call()
            _ = self._start(
                self._run(lambda connection: undo(connection, outcome), undoing, None), undoing
            )

    async def _run(self, work: Work[T], call: _Call, undo: Undo[T] | None) -> T:
        slots = self._slots
        if slots is None:
            raise self._not_open()
        async with slots:
            if self._slots is not slots:
                raise self._not_open()
            while True:
                connection = call.connection = await self._take()
                try:
                    outcome = await self._repeated(work, connection)
                    if call.abandoned and undo is not None:
                        with translated(self._place):
                            await undo(connection, outcome)
                except StoreError as error:
                    if only_reads(error):  # so do all of them, if their primary has stepped down
                        self._drop_all(connection)
                    if connection.answered or not was_not_sent(error):
                        raise
                    connection.terminate()  # the server has just ended it
                else:
                    return outcome
                finally:
                    call.connection = None
                    self._put_back(connection)

    async def _repeated(self, work: Work[T], connection: Connection) -> T:
        left = _TRIES
        while True:
            left -= 1
            with translated(self._place):
                try:
                    return await work(connection)
                except Exception as error:
                    if not left or not may_be_repeated(error) or not connection.usable:
                        raise

    async def _take(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            connection.answered = False
            if connection.usable:
                return connection
            connection.terminate()
        return await self._connector.connect(brief=self._brief)

    def _put_back(self, connection: Connection) -> None:
        if connection.usable:
            self._idle.append(connection)
        else:
            connection.terminate()

    def _drop_all(self, connection: Connection) -> None:
        """Let the next calls connect anew: a server that now only reads may have a successor."""
        idle, self._idle = self._idle, []
        for each in (connection, *idle):
            each.terminate()

    def _not_open(self) -> StoreError:
        return StoreError(f"PostgreSQL, {self._place}: the store is not open")


def _cut_off(task: "asyncio.Task[Any]", call: _Call) -> None:
    """Have the server end what it does for a call, or drop the connection if it does not answer."""
    if call.connection is not None:
        terminate = asyncio.get_running_loop().call_later(_LAST_WORDS, call.connection.terminate)
        task.add_done_callback(lambda _: terminate.cancel())
    task.cancel()  # which the driver tells the server
