"""Notices that the event loop stands still, and where: what blocks it stops a whole scheduler."""

import asyncio
import contextlib
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Final

from duly.testing.gate import Gate

__all__ = ["Watchdog"]

_LOOKS: Final = 20  # without an answer in a row, so that a busy machine is no standstill
_LINES: Final = 6  # of the stack


class Watchdog:
    """A thread that asks the event loop for a sign of life again and again.

    If none comes for ``bound`` seconds, it notes what the loop is doing and cuts the gate, so that
    a call that blocks while it waits for an answer comes to an end.
    """

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._found = ""
        self._pauses = 0
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, gate: Gate | None) -> None:
        """Watch the event loop that runs now."""
        loop, watched = asyncio.get_running_loop(), threading.get_ident()
        self._thread = threading.Thread(
            target=self._watch, args=(loop, watched, gate), name="duly-watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Watch no more, and raise AssertionError if the loop stood still."""
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        assert not self._found, (
            f"the event loop stood still for {self._bound} s: something blocks it, here:\n"
            f"{self._found}"
        )

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Ignore what the test itself does."""
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1

    def _watch(self, loop: asyncio.AbstractEventLoop, watched: int, gate: Gate | None) -> None:
        sign = threading.Event()
        sign.set()
        looks = 0
        while not self._end.wait(self._bound / _LOOKS):
            if self._pauses or sign.is_set():
                looks = 0
                sign.clear()
                loop.call_soon_threadsafe(sign.set)
                continue
            looks += 1
            if looks == _LOOKS and not self._found:
                frame = sys._current_frames()[watched]  # noqa: SLF001  # the only way to see it
                self._found = "".join(traceback.format_stack(frame)[-_LINES:])
                if gate is not None:
                    asyncio.run(gate.cut())
