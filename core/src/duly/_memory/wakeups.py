"""Telling several waiters, on any event loop, that something changed: the memory store's signal."""

import asyncio
import contextlib
import threading
from weakref import WeakKeyDictionary

__all__ = ["Wakeups"]


class Wakeups:
    """Lets any number of waiters learn of every change since they last waited.

    A task that waits again and again is known. For those who make a task of each wait, as
    ``asyncio.wait_for`` may do, it is counted how many ever waited side by side: as many are told
    of a change, at once or when they come back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes = 0
        self._told: WeakKeyDictionary[asyncio.Task[object], int] = WeakKeyDictionary()
        self._waiting: dict[asyncio.Future[None], None] = {}  # told in the order they came
        self._most = 1
        self._owed = 0

    def changed(self) -> None:
        """Called, from any thread, when there is something that waiters may want to see."""
        with self._lock:
            self._changes += 1
            self._owed = self._most - len(self._waiting)
            waiting, self._waiting = self._waiting, {}
        for future in waiting:
            with contextlib.suppress(RuntimeError):  # its loop was closed, nobody waits any more
                future.get_loop().call_soon_threadsafe(_finish, future)

    async def wait(self) -> None:
        """Return when there was a change that the caller was not told of."""
        task = asyncio.current_task()
        assert task is not None, "a coroutine is run by a task"  # noqa: S101  # for mypy
        future = self._register(task)
        try:
            if future is not None:
                await future
        except asyncio.CancelledError:
            with self._lock:
                if future in self._waiting:
                    del self._waiting[future]
                else:  # told, and too late to hear it
                    self._owed += 1
            raise
        with self._lock:
            self._told[task] = self._changes

    def _register(self, task: asyncio.Task[object]) -> asyncio.Future[None] | None:
        with self._lock:
            known = self._told.get(task)
            if known is None and self._owed:
                self._owed -= 1
                return None
            if known not in (None, self._changes):
                return None
            future = asyncio.get_running_loop().create_future()
            self._waiting[future] = None
            self._most = max(self._most, len(self._waiting))
            return future


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
