"""One call under way, and how a thread that may be interrupted anywhere waits for it."""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from duly.errors import SchedulerStateError

__all__ = ["Call", "Ended"]

T = TypeVar("T")

_LOOK_UP: Final = 0.5  # seconds


class Ended:
    """Set once and waited for, like a :class:`threading.Event`, but safe from signal handlers.

    A signal handler may run at any point of :meth:`wait`, raise there, or take as long as it likes:
    this never holds up the thread that sets it, and a second wait still ends.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Let those who wait go on; a second time does nothing."""
        self._is_set = True
        self._open()

    def wait(self, timeout: float = -1) -> bool:
        """Return when it is set, or after so many seconds; whether it is.

        A signal does not interrupt the main thread if another thread has caught it, or if it came
        just before the waiting began. So the main thread wakes now and then to handle it.
        """
        if timeout < 0 and threading.current_thread() is threading.main_thread():
            while not self._is_set and not self._lock.acquire(timeout=_LOOK_UP):
                pass
        elif not self._is_set:
            self._lock.acquire(timeout=timeout)
        if self._is_set:
            self._open()
        return self._is_set

    def _open(self) -> None:
        with contextlib.suppress(RuntimeError):  # it is open
            self._lock.release()


class Call(Generic[T]):
    """One call under way: begun and cancelled on the loop, waited for by any other thread."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], calls: "set[Call[Any]]") -> None:
        self.ended = Ended()
        self._work = work
        self._calls = calls
        self._context = contextvars.copy_context()  # the caller's trace goes on
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """Call this on the loop, as also :meth:`cancel`."""
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._work(), context=self._context)
        self._task.add_done_callback(self._end)

    def cancel(self) -> None:
        """It may go on for a while, to end well, unless it is cancelled again."""
        if self._task is not None:
            self._task.cancel()
        else:
            self.never_begins()

    def never_begins(self) -> None:
        """The call will not be begun: nobody waits for it."""
        self._calls.discard(self)
        self.ended.set()

    def raised(self, error: BaseException) -> bool:
        """Whether that is how it ended."""
        task = self._task
        return (
            task is not None and task.done() and not task.cancelled() and task.exception() is error
        )

    def outcome(self) -> T:
        """What a call that has ended returned or raised.

        Raises:
            SchedulerStateError: the loop was ended meanwhile.
        """
        if self._task is not None and self._task.done() and not self._task.cancelled():
            return self._task.result()
        raise SchedulerStateError("closed while this call was under way")

    def _end(self, task: "asyncio.Task[T]") -> None:
        if not task.cancelled():
            task.exception()  # whether or not anybody asks for the outcome
        self._calls.discard(self)
        self.ended.set()
