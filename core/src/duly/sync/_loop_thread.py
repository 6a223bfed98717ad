"""An event loop in a thread of its own, for callers that block: what :mod:`duly.sync` stands on."""

import atexit
import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from duly.errors import SchedulerStateError
from duly.sync._call import Call
from duly.sync._patched import refuse_patched_threads
from duly.sync._serving import Serving

__all__ = ["GiveUp", "LoopThread"]

P = ParamSpec("P")
T = TypeVar("T")

GiveUp = Callable[[], Coroutine[Any, Any, object]]

_PATIENCE: Final = 3.0  # seconds that giving up may take


def _nothing() -> None:
    """Begins what has begun already."""


class LoopThread:
    """Runs coroutines for threads that wait for their outcome; starts with the first of them.

    After a fork the child has no such thread and is refused. The thread ends with this object at
    the latest. If the interpreter exits earlier, ``give_up`` is called on the loop and has a few
    seconds to end well.
    """

    def __init__(self, give_up: GiveUp) -> None:
        self._give_up = give_up
        self._lock = threading.RLock()  # a signal handler may call while its thread holds it
        self._pid: int | None = None
        self._serving: Serving | None = None
        self._ended = False

    @property
    def over(self) -> bool:
        """Whether it was told to end, or belongs to the parent of this process."""
        return self._ended or self._pid not in (None, os.getpid())

    @property
    def started(self) -> bool:
        """Whether a loop runs in this process and was not told to end."""
        serving = self._serving
        return serving is not None and not serving.loop.is_closed() and not self.over

    def call(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The outcome of a coroutine function, awaited on the loop.

        Raises:
            SchedulerStateError: as of :meth:`begin`, or :meth:`end` was called meanwhile.
        """
        serving, call = self._prepared(function, *args, **kwargs)
        return self._seen_through(serving, call, functools.partial(serving.begin, call))

    def begin(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Call[T]:
        """Have a coroutine function called on the loop, without waiting for it.

        Raises:
            SchedulerStateError: after :meth:`end`, in a forked process, or on the loop itself.
        """
        serving, call = self._prepared(function, *args, **kwargs)
        serving.begin(call)
        return call

    def wait(self, call: Call[T]) -> T:
        """The outcome of a call. A thread that is interrupted cancels it and waits for its end.

        Interrupted again, it cancels again and leaves at once.
        """
        assert self._serving is not None, "a call was begun"  # noqa: S101  # for the type checker
        return self._seen_through(self._serving, call)

    def end(self, patience: float | None = None) -> None:
        """Cancel what is under way and end the thread; wait for so many seconds at most."""
        if self._pid not in (None, os.getpid()):
            return  # it is the parent's
        with self._lock:
            self._ended = True
        if self._serving is not None:
            self._serving.end()
            self._serving.thread.join(patience)

    def raise_ending(self) -> None:
        """Raise what has ended the loop, unless it was raised in some caller already."""
        if self._serving is not None and not self._serving.told:
            self._serving.raise_ending()

    def leave(self) -> None:
        """Called when the interpreter exits; it must not show."""
        if self.started:
            in_time = False
            with contextlib.suppress(SchedulerStateError):
                in_time = self.begin(self._give_up).ended.wait(_PATIENCE)
            self.end(_PATIENCE if in_time else 0)

    def _prepared(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[Serving, Call[T]]:
        serving = self._started()
        serving.raise_ending()
        call = Call(functools.partial(function, *args, **kwargs), serving.calls)
        serving.calls.add(call)
        return serving, call

    def _seen_through(
        self, serving: Serving, call: Call[T], begin: Callable[[], object] = _nothing
    ) -> T:
        # An interruption may come at any point: before the call is begun, while it is, and while
        # it is waited for.
        try:
            begin()
            call.ended.wait()
        except BaseException:
            try:
                serving.cancel(call)
                call.ended.wait()
            except BaseException:
                serving.cancel(call)
                raise
            raise
        try:
            return call.outcome()
        except SchedulerStateError:
            serving.raise_ending()
            raise

    def _started(self) -> "Serving":
        if self._pid not in (None, os.getpid()):  # before the lock, which a parent may have held
            raise SchedulerStateError(
                "used before this process was forked off: make another in each process, or use "
                "it only after the fork"
            )
        serving = self._serving
        if serving is not None and serving.thread is threading.current_thread():
            raise SchedulerStateError(
                "called on its own event loop, which would wait for itself: make the handler "
                "a plain function, or use the async duly.Client there"
            )
        if serving is None:
            refuse_patched_threads()
            self._pid = os.getpid()
            serving = self._start()
        if self._ended or serving is None:
            raise SchedulerStateError("closed: make another")
        return serving

    def _start(self) -> Serving | None:
        with self._lock:
            if self._serving is None and not self._ended:
                serving = Serving()
                # It holds no reference to this object, so that dropping that ends the thread.
                weakref.finalize(self, serving.end).atexit = False
                _all.add(self)
                try:
                    serving.start()
                except BaseException:  # interrupted: the next call starts another
                    serving.end()
                    raise
                if self.started:  # a signal handler in this very thread has started one meanwhile
                    serving.end()
                else:
                    self._serving = serving
            return self._serving


_all: "weakref.WeakSet[LoopThread]" = weakref.WeakSet()


def _leave() -> None:
    for each in list(_all):
        each.leave()


# Its hook runs while threads can still be started, as stores must; that of atexit comes too late.
getattr(threading, "_register_atexit", atexit.register)(_leave)
