"""Telling every store of this process that works on the same file."""

import asyncio
import contextlib
import threading
from collections import defaultdict
from typing import Any, Final
from weakref import WeakKeyDictionary

__all__ = ["Wakeups"]

_lock: Final = threading.Lock()
_by_file: Final[defaultdict[str, set["Wakeups"]]] = defaultdict(set)


class Wakeups:
    """The bell of one store object; rung from any thread, waited for on any event loop."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._rings = 0
        self._heard = 0  # by whoever heard last
        self._heard_by: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._waiting: set[asyncio.Future[None]] = set()

    def connect(self) -> None:
        """Receive what is rung for this file from now on."""
        with _lock:
            _by_file[self._file].add(self)

    def disconnect(self) -> None:
        """Receive no more."""
        with _lock:
            _by_file[self._file].discard(self)
            if not _by_file[self._file]:
                del _by_file[self._file]

    def ring(self) -> None:
        """Wake all who wait at any store of this file, and those who are about to."""
        with _lock:
            for bell in _by_file.get(self._file, ()):
                bell._wake_all()  # noqa: SLF001  # another of this class

    async def wait(self) -> None:
        """Return when it was rung since this task last returned from here.

        For a task that comes for the first time, it counts since any task last returned: so nothing
        is missed if each wait is a task of its own.
        """
        task = asyncio.current_task()
        assert task is not None, "coroutines run in tasks"  # noqa: S101  # for the type checker
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with _lock:
            if self._heard_by.get(task, self._heard) == self._rings:
                self._waiting.add(future)
            else:
                future.set_result(None)
        try:
            await future
            with _lock:
                self._heard_by[task] = self._heard = self._rings
        finally:
            with _lock:
                self._waiting.discard(future)

    def _wake_all(self) -> None:
        self._rings += 1
        for future in self._waiting:
            with contextlib.suppress(RuntimeError):  # its loop is closed: nobody waits any more
                future.get_loop().call_soon_threadsafe(_finish, future)


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
