"""Whole main programs, and the event loops that runs of a scheduler are on."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Any, Final, TypeVar

from duly._values.plain import shown
from duly.errors import SchedulerStateError

__all__ = ["noting", "on_its_loop", "run_here", "run_to_the_end", "until_signalled"]

Run = asyncio.Task[None]

T = TypeVar("T")

_NUMBERS: Final = (signal.SIGINT, signal.SIGTERM)


def run_here(run: Run | None) -> Run | None:
    """The run, if it is under way on this event loop; None too if its loop was closed.

    Raises:
        SchedulerStateError: it is under way on another event loop.
    """
    if run is None or run.get_loop().is_closed():
        return None
    if run.get_loop() is not asyncio.get_running_loop():
        raise SchedulerStateError(
            "this scheduler runs on another event loop: start, stop and close it there, or use "
            "duly.sync.Scheduler from any thread"
        )
    return run


def on_its_loop(run: Run, step: Callable[[T], object], value: T) -> None:
    """Take a step on the event loop of a run: at once if that is ours, or soon."""
    loop = run.get_loop()
    if loop is asyncio.get_running_loop():
        step(value)
        return
    with contextlib.suppress(RuntimeError):  # it has ended meanwhile
        loop.call_soon_threadsafe(step, value)


def run_to_the_end(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a main program on an event loop of its own; signal handlers are afterwards as before.

    Raises:
        SchedulerStateError: an event loop runs already, or this is not the main thread.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise SchedulerStateError("an event loop runs already: use running() or start() in it")
    if threading.current_thread() is not threading.main_thread():
        raise SchedulerStateError(
            "run() ends at a signal, and only the main thread receives signals: in another thread "
            "use run() of duly.sync.Scheduler, which stop() ends as well"
        )
    before = [signal.getsignal(number) for number in _NUMBERS]
    try:
        asyncio.run(main())
    finally:
        for number, former in zip(_NUMBERS, before, strict=True):
            if former is not None:  # one that Python did not set
                signal.signal(number, former)


async def until_signalled(
    start: Callable[[], Awaitable[None]], stop: Callable[[timedelta], None]
) -> None:
    """Wait for a run. At the first signal it is told to drain, at the second to wait no more."""
    timeouts = iter([timedelta(seconds=20)])
    loop = asyncio.get_running_loop()
    for number in _NUMBERS:
        with contextlib.suppress(NotImplementedError):  # where there are no signals
            loop.add_signal_handler(number, lambda: stop(next(timeouts, timedelta(0))))
    await start()


@contextlib.contextmanager
def noting(error: BaseException) -> Iterator[None]:
    """Adds to an error, as a note, what the block raises: the second must not hide the first."""
    try:
        yield
    except Exception as other:  # noqa: BLE001  # whatever it is, it is told
        error.add_note(f"and then the scheduler ended in an error: {shown(other)}")
