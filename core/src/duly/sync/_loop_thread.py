"""An event loop in a thread of its own, for callers that block: what :mod:`duly.sync` stands on."""

import asyncio
import atexit
import contextlib
import functools
import os
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeVar

from duly.errors import SchedulerStateError
from duly.sync._call import Call, Ended
from duly.sync._patched import refuse_patched_threads

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
        self._serving: _Serving | None = None
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
        loop, call = self._prepared(function, *args, **kwargs)
        return self._seen_through(loop, call, functools.partial(_begin, loop, call))

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
        """The outcome of a call. A thread that is interrupted cancels it and waits for its end.

        Interrupted again, it cancels again and leaves at once.
        """
        assert self._serving is not None, "a call was begun"  # noqa: S101  # for the type checker
        return self._seen_through(self._serving.loop, call)

    def end(self, patience: float | None = None) -> None:
        """Cancel what is under way and end the thread; wait for so many seconds at most."""
        if self._pid not in (None, os.getpid()):
            return  # it is the parent's
        with self._lock:
            self._ended = True
        if self._serving is not None:
            self._serving.end()
            self._serving.thread.join(patience)

    def leave(self) -> None:
        """Called when the interpreter exits; it must not show."""
        if self.started:
            in_time = False
            with contextlib.suppress(SchedulerStateError):
                in_time = self.begin(self._give_up).ended.wait(_PATIENCE)
            self.end(_PATIENCE if in_time else 0)

    def _prepared(
        self, function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[asyncio.AbstractEventLoop, Call[T]]:
        serving = self._started()
        if serving.ending is not None:
            raise serving.ending
        call = Call(functools.partial(function, *args, **kwargs), serving.calls)
        serving.calls.add(call)
        return serving.loop, call

    def _seen_through(
        self, loop: asyncio.AbstractEventLoop, call: Call[T], begin: Callable[[], object] = _nothing
    ) -> T:
        # An interruption may come at any point: before the call is begun, while it is, and while
        # it is waited for.
        try:
            begin()
            call.ended.wait()
        except BaseException:
            try:
                _cancel(loop, call)
                call.ended.wait()
            except BaseException:
                _cancel(loop, call)
                raise
            raise
        try:
            return call.outcome()
        except SchedulerStateError:
            if self._serving is not None and self._serving.ending is not None:
                raise self._serving.ending from None
            raise

    def _started(self) -> "_Serving":
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

    def _start(self) -> "_Serving | None":
        with self._lock:
            if self._serving is None and not self._ended:
                serving = _Serving()
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


class _Serving:
    """An event loop, the thread it runs in, and the calls under way on it."""

    loop: asyncio.AbstractEventLoop

    def __init__(self) -> None:
        self.calls: set[Call[Any]] = set()
        self.thread = threading.Thread(target=self._serve, name="duly-sync", daemon=True)
        self._begun = Ended()
        self._stop = asyncio.Event()
        self._stopped = False
        self.ending: BaseException | None = None
        """What has ended the loop: a handler that asks the whole process to end."""

    def start(self) -> None:
        """Return when there is a loop."""
        self.thread.start()
        self._begun.wait()
        if not hasattr(self, "loop"):
            raise SchedulerStateError("no event loop could be started: is a limit reached?")

    def end(self) -> None:
        """Have the loop end, which cancels what is under way; also when it has not begun."""
        self._stopped = True
        if hasattr(self, "loop"):
            with contextlib.suppress(RuntimeError):  # it has ended already
                self.loop.call_soon_threadsafe(self._stop.set)

    def _serve(self) -> None:
        try:
            with asyncio.Runner() as runner:  # made here, so that what never began leaves nothing
                self.loop = runner.get_loop()
                self._begun.set()
                if not self._stopped:
                    try:
                        runner.run(self._stop.wait())
                    except (KeyboardInterrupt, SystemExit) as error:
                        if not any(call.raised(error) for call in self.calls):
                            self.ending = error  # it is raised in the next caller
        finally:  # whatever ended it, nobody waits for ever
            self._begun.set()
            for call in list(self.calls):
                call.ended.set()


def _begin(loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
    try:
        loop.call_soon_threadsafe(call.begin)
    except RuntimeError:
        call.never_begins()
        raise SchedulerStateError("closed: its event loop has ended") from None


def _cancel(loop: asyncio.AbstractEventLoop, call: Call[Any]) -> None:
    try:
        loop.call_soon_threadsafe(call.cancel)
    except RuntimeError:
        call.never_begins()


_all: "weakref.WeakSet[LoopThread]" = weakref.WeakSet()


def _leave() -> None:
    for each in list(_all):
        each.leave()


# Its hook runs while threads can still be started, as stores must; that of atexit comes too late.
getattr(threading, "_register_atexit", atexit.register)(_leave)
