"""Telling every store of this process that works on the same file."""

import asyncio
import threading
from collections import defaultdict
from typing import Final

__all__ = ["Wakeups"]

_lock: Final = threading.Lock()
_by_file: Final[defaultdict[str, set["Wakeups"]]] = defaultdict(set)


class Wakeups:
    """The bell of one store object; may be rung and waited for in any thread and event loop."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._rung = False  # while nobody waited
        self._waiting: set[asyncio.Future[None]] = set()

    def connect(self) -> None:
        """Hear what is rung for this file from now on."""
        with _lock:
            _by_file[self._file].add(self)

    def disconnect(self) -> None:
        """Hear no more."""
        with _lock:
            _by_file[self._file].discard(self)
            if not _by_file[self._file]:
                del _by_file[self._file]

    def ring(self) -> None:
        """Wake who waits at any store of this file; who does not wait now will not need to."""
        with _lock:
            for bell in _by_file.get(self._file, ()):
                bell._hear()  # noqa: SLF001  # another of this class

    def _hear(self) -> None:
        self._rung = True
        for future in self._waiting:
            try:
                future.get_loop().call_soon_threadsafe(_wake, future)
            except RuntimeError:  # that loop is closed: nobody waits there any more
                continue

    async def wait(self) -> None:
        """Return when it was rung since the last call; nothing rung between calls is missed."""
        future = asyncio.get_running_loop().create_future()
        with _lock:
            if self._rung:
                self._rung = False
                return
            self._waiting.add(future)
        try:
            await future
            # Not taken back when the wait is cancelled: the next call then returns at once.
            self._rung = False
        finally:
            with _lock:
                self._waiting.discard(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
