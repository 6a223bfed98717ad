"""Calls functions of users: async ones where they are published, plain ones in threads.

Each publish has a task and a context of its own (``own_tasks``), so that neither cancellations nor
ContextVars get from one to the next.
"""

import asyncio
import contextlib
import contextvars
import inspect
from asyncio import AbstractEventLoop, Semaphore
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple
from weakref import WeakValueDictionary

from duly._values.limits import waiting
from duly._values.plain import shown
from duly._values.publishing import StillRunning, as_error
from duly.errors import InvalidArgument, TransportError
from duly.transport import Envelope

__all__ = ["THREADS", "Caller", "Checked", "Handler", "checked", "name_of"]

Handler = Callable[[Envelope], object]
"""Called with each envelope: an async function, a plain one, or an object with ``__call__``."""

THREADS: Final = 32
"""Plain functions that may run at a time."""


class Checked(NamedTuple):
    """A function that can be called with an envelope."""

    function: Handler
    is_async: bool


class Caller:
    """What transports that call functions have in common.

    A turn for a thread is waited for on the loop, so that who gives up leaves nothing behind. It
    ends with the function, which may be long after its publish.
    """

    own_tasks = True

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        # Of each loop; kept while somebody has or awaits a turn.
        self._turns = WeakValueDictionary[AbstractEventLoop, Semaphore]()
        # By delivery id, those that go on though their publish was cancelled.
        self._left_behind: dict[str, Future[object]] = {}

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """Let the threads go, each when the function it runs has returned."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    async def _call(self, handler: Checked, envelope: Envelope) -> None:
        if handler.is_async:
            result = handler.function(envelope)
            if inspect.isawaitable(result):
                await result
            return
        running = self._left_behind.get(envelope.delivery_id) if self._left_behind else None
        if running is None or running.done():  # else it is not started again beside itself
            running = await self._start(handler.function, envelope)
        try:
            result = await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise
            id = envelope.delivery_id
            self._left_behind[id] = running
            running.add_done_callback(lambda _: self._left_behind.pop(id, None))
            raise StillRunning(_told(running)) from None
        await _taken(result)

    async def _start(self, function: Handler, envelope: Envelope) -> Future[object]:
        """Start a plain function in a thread, when it is its turn."""
        loop = asyncio.get_running_loop()
        turns = self._turns.setdefault(loop, Semaphore(THREADS))
        with waiting() if turns.locked() else contextlib.nullcontext():
            await turns.acquire()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(THREADS, "duly-local")

        def end(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(turns.release)

        run = contextvars.copy_context().run
        running = self._threads.submit(run, _in_thread, function, envelope)
        running.add_done_callback(end)
        return running


def checked(function: Handler) -> Checked:
    """A handler that was given.

    Raises:
        InvalidArgument: something that cannot be called with an envelope.
    """
    if not callable(function):
        raise InvalidArgument(f"a handler is a function, not {shown(function)}")
    kinds = (function, type(function).__call__)
    if any(inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind) for kind in kinds):
        raise InvalidArgument(f"{name_of(function)} is a generator: calling it would do nothing")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise InvalidArgument(f"{name_of(function)} must take one argument, the envelope") from None
    except ValueError:
        pass  # built in, without a signature
    return Checked(function, any(inspect.iscoroutinefunction(kind) for kind in kinds))


def _in_thread(function: Handler, envelope: Envelope) -> object:
    """What a function returned, or raised if that is no error."""
    try:
        return function(envelope)
    except StopIteration as error:  # a future cannot hold it
        raise TransportError(f"{name_of(function)} raised {error!r}") from error
    except Exception:
        raise
    except BaseException as odd:  # noqa: BLE001  # told by who awaits this
        return _Odd(odd)


class _Odd(NamedTuple):
    error: BaseException


async def _taken(result: object) -> None:
    """Await what a plain function returned, if that can be, or raise what it raised."""
    if inspect.isawaitable(result):
        await result
    elif isinstance(result, _Odd):
        raise result.error


def _told(running: Future[object]) -> "asyncio.Task[None]":
    """How a function ends that nobody can stop, as errors: nothing else may end a task."""

    async def outcome() -> None:
        try:
            await _taken(await asyncio.wrap_future(running))
        except (KeyboardInterrupt, SystemExit) as odd:
            raise as_error(odd) from odd

    told = asyncio.create_task(outcome())
    told.add_done_callback(lambda task: task.cancelled() or task.exception())  # asked or not
    return told


def name_of(function: object) -> str:
    """What to call a function in an error."""
    return str(getattr(function, "__qualname__", type(function).__qualname__))
