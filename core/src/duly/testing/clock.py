"""Time for tests: a clock to turn by hand, and an event loop that does not wait for timers."""

import asyncio
import contextlib
import functools
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from typing import Any, Final, ParamSpec, TypeVar, TypeVarTuple

from duly.moment import as_moment
from duly.store import Clock

__all__ = [
    "START",
    "HandClock",
    "VirtualTimeLoop",
    "run_virtually",
    "running_clock",
    "virtual_clock",
]

START: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""The moment at which these clocks begin unless told otherwise."""

P = ParamSpec("P")
T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_PATIENCE: Final = 1.0  # real seconds, for threads that nobody announced


class HandClock:
    """A store's ``clock`` that stands still until it is turned, exact to the microsecond."""

    def __init__(self, start: datetime = START) -> None:
        self._now = as_moment(start, "start")

    def __call__(self) -> datetime:
        """The present moment, in UTC."""
        return self._now

    def advance(self, duration: timedelta = timedelta(0), **more: float) -> datetime:
        """Turn the clock by a timedelta, or by one made from keywords: ``advance(hours=1)``."""
        self._now += duration + timedelta(**more)
        return self._now

    def set(self, moment: datetime) -> None:
        """Turn the clock to a moment, an earlier one too."""
        self._now = as_moment(moment, "moment")


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers are due at once: when nothing is ready, time jumps to the next.

    Time begins at 0 and stands still while tasks run, so that a test of hours takes milliseconds
    and always the same course. While a thread of :meth:`run_in_executor` works or a file or
    socket is watched, time passes as it really does; threads that the loop cannot know of are
    announced by :meth:`outside`.

    Raises:
        RuntimeError: when nothing is left that could wake a task; raised by what runs the loop.
    """

    def __init__(self) -> None:
        self._microseconds = 0
        self._outside = 0
        super().__init__(_JumpingSelector(self))
        # asyncio's own, a nanosecond: after some weeks floating point cannot tell it from 0, and
        # a timer that is due would never go off.
        self._clock_resolution = 0.000_000_5

    def time(self) -> float:
        """Virtual seconds since the loop was made, a whole number of microseconds."""
        return self._microseconds / 1_000_000

    def jump(self, seconds: float) -> None:
        """Let so much virtual time pass, rounded up to microseconds, at least one."""
        # A sum of seconds is off by far less than this thousandth of a microsecond.
        self._microseconds += max(1, math.ceil(seconds * 1_000_000 - 0.001))

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """Let time pass as it really does while something is at work that the loop cannot see."""
        self._outside += 1
        try:
            yield
        finally:
            self._outside -= 1

    def is_outside(self) -> bool:
        """Whether something is at work outside of the loop, as far as it was told."""
        return self._outside > 0

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """As in every event loop; real time passes until the function has returned."""
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1
        future.add_done_callback(self._came_back)
        return future

    def _came_back(self, _: object) -> None:
        self._outside -= 1

    async def shutdown_default_executor(self, *args: float | None) -> None:
        """As in every event loop."""
        with self.outside():
            await super().shutdown_default_executor(*args)


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for files as selectors do, and lets time jump when there is nothing to wait for."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop
        self._waited = 0.0  # real seconds, of those that the next timer is away

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        watched = len(self.get_map()) - 1  # one is the loop's own, by which threads wake it
        if watched or self._loop.is_outside():
            started = time.monotonic()
            ready = super().select(timeout and max(0.0, timeout - self._waited))
            self._waited += time.monotonic() - started
        elif timeout is None:
            ready = super().select(_PATIENCE)
            if not ready:
                raise RuntimeError(_stuck(self._loop))
        if not ready and timeout is not None:
            self._waited = 0.0
            self._loop.jump(timeout)
        return ready


def _stuck(loop: asyncio.AbstractEventLoop) -> str:
    waiting = sorted(str(task.get_coro()) for task in asyncio.all_tasks(loop))
    return (
        f"no timer runs, no thread works and no file is watched, so these wait forever: {waiting}"
    )


def virtual_clock(
    loop: asyncio.AbstractEventLoop, start: datetime = START, *, pace: float = 1
) -> Clock:
    """A store's ``clock`` that begins at ``start`` and goes on with the time of an event loop.

    ``pace`` is how many seconds of this clock pass in one second of the loop.
    """
    beginning, start = loop.time(), as_moment(start, "start")
    return lambda: start + timedelta(seconds=(loop.time() - beginning) * pace)


def running_clock(*, pace: float = 1) -> Clock:
    """The :func:`virtual_clock` of the running event loop, beginning now."""
    return virtual_clock(asyncio.get_running_loop(), pace=pace)


def run_virtually(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Decorates an async test so that it runs on a :class:`VirtualTimeLoop` of its own.

    The result is a plain test; its fixtures are made outside of that loop.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
