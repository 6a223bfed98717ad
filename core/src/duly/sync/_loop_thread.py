"""An event loop in a thread of its own, for callers that block: what :mod:`duly.sync` stands on."""

import asyncio
import atexit
import contextlib
import contextvars
import functools
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, ParamSpec, TypeVar

from duly.errors import SchedulerStateError

__all__ = ["Call", "GiveUp", "LoopThread"]

P = ParamSpec("P")
T = TypeVar("T")

GiveUp = Callable[[], Coroutine[Any, Any, object]]

_PATIENCE: Final = 3.0  # seconds that giving up may take


class Call(Generic[T]):
    """One call under way: begun and cancelled on the loop, waited for by any other thread."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]], calls: "set[Call[Any]]") -> None:
        self.ended = threading.Event()
        self._work = work
        self._calls = calls
        self._context = contextvars.copy_context()  # the caller's trace goes on
        self._task: asyncio.Task[T] | None = None

    def begin(self) -> None:
        """To be called on the loop, as is :meth:`cancel`."""
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
        """Nothing is to be waited for."""
        self._calls.discard(self)
        self.ended.set()

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


class LoopThread:
    """Runs coroutines for threads that wait for their outcome; starts with the first of them.

    A process that was forked off since has no such thread and is refused. The thread ends with
    this object at the latest. When the interpreter exits before, ``give_up`` is called on the loop
    and has a few seconds to end well.
    """

    def __init__(self, give_up: GiveUp) -> None:
        self._give_up = give_up
        self._lock = threading.Lock()
        self._calls: set[Call[Any]] = set()
        self._pid: int | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()
        self._ended = False

    @property
    def started(self) -> bool:
        """Whether a loop runs in this process and was not told to end."""
        alive = self._loop is not None and not self._loop.is_closed()
        return alive and self._pid == os.getpid() and not self._ended

    def call(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The outcome of a coroutine function, awaited on the loop.

        Raises:
            SchedulerStateError: as of :meth:`begin`, or :meth:`end` was called meanwhile.
        """
        loop, call = self._prepared(function, *args, **kwargs)
        return self._seen_through(call, functools.partial(_begin, loop, call))

    def begin(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> Call[T]:
        """Have a coroutine function called on the loop, without waiting for it.

        Raises:
            SchedulerStateError: after :meth:`end`, in a forked process, or on the loop itself.
        """
        loop, call = self._prepared(function, *args, **kwargs)
        _begin(loop, call)
        return call

    def wait(self, call: Call[T]) -> T:
        """The outcome of a call. A thread that is interrupted cancels it and sees it end.

        Interrupted again, it cancels again and leaves at once.
        """
        return self._seen_through(call)

    def end(self, patience: float | None = None) -> None:
        """Cancel what is under way and end the thread; wait for so many seconds at most."""
        if self._pid not in (None, os.getpid()):
            return  # it is the parent's
        with self._lock:
            self._ended = True
        if self._loop is not None and self._thread is not None:
            _end(self._loop, self._stop)
            self._thread.join(patience)

    def leave(self) -> None:
        """Called when the interpreter exits, which nobody is to notice."""
        if self.started:
            in_time = False
            with contextlib.suppress(SchedulerStateError):
                in_time = self.begin(self._give_up).ended.wait(_PATIENCE)
            self.end(_PATIENCE if in_time else 0)

    def _prepared(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[asyncio.AbstractEventLoop, Call[T]]:
        loop = self._running_loop()
        call = Call(functools.partial(function, *args, **kwargs), self._calls)
        self._calls.add(call)
        return loop, call

    def _seen_through(self, call: Call[T], begin: Callable[[], object] | None = None) -> T:
        try:
            self._wait(call, begin)
        except BaseException:
            self._wait(call)
            raise
        return call.outcome()

    def _wait(self, call: Call[Any], begin: Callable[[], object] | None = None) -> None:
        try:
            if begin is not None:  # an interruption may come while it is being begun, too
                begin()
            call.ended.wait()
        except BaseException:
            if self._loop is not None:
                _post(self._loop, call.cancel)
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._pid not in (None, os.getpid()):  # asked before the lock, which nobody may free
            raise SchedulerStateError(
                "used before this process was forked off: make another in each process, or use "
                "it only behind the fork"
            )
        if self._thread is threading.current_thread():
            raise SchedulerStateError(
                "called on its own event loop, which would wait for itself: make the handler "
                "a plain function, or use the async duly.Client there"
            )
        self._pid = os.getpid()
        with self._lock:
            if self._ended:
                raise SchedulerStateError("closed: make another")
            if self._loop is None:
                self._loop = self._start()
        return self._loop

    def _start(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        # The thread knows this object's parts alone, so that who drops it ends the thread.
        parts = (loop, self._stop, self._calls)
        self._thread = threading.Thread(target=_serve, args=parts, name="duly-sync", daemon=True)
        self._thread.start()
        weakref.finalize(self, _end, loop, self._stop).atexit = False
        _started.add(self)
        return loop


def _serve(loop: asyncio.AbstractEventLoop, stop: asyncio.Event, calls: set[Call[Any]]) -> None:
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(stop.wait())
    finally:  # whatever ended it, nobody waits for ever
        for call in list(calls):
            call.ended.set()


def _begin(loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
    try:
        loop.call_soon_threadsafe(call.begin)
    except RuntimeError:
        call.never_begins()
        raise SchedulerStateError("closed: its event loop has ended") from None


def _end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    _post(loop, stop.set)


def _post(loop: asyncio.AbstractEventLoop, step: Callable[[], object]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended already
        loop.call_soon_threadsafe(step)


_started: "weakref.WeakSet[LoopThread]" = weakref.WeakSet()


def _leave() -> None:
    for each in list(_started):
        each.leave()


# Its hook runs while threads can still be started, as stores must; that of atexit comes too late.
getattr(threading, "_register_atexit", atexit.register)(_leave)
