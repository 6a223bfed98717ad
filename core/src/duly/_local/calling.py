"""Calls functions of users: async ones where they are published, plain ones in threads.

Each publish has a task and a context of its own (``own_tasks``), so that neither cancellations nor
ContextVars get from one to the next.
"""

import asyncio
import contextlib
import contextvars
import functools
import inspect
from asyncio import AbstractEventLoop, Semaphore
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Final, NamedTuple, cast
from weakref import WeakValueDictionary

from duly._local.binding import Checked, name_of
from duly._values.limits import waiting
from duly._values.plain import shown
from duly._values.publishing import StillRunning, as_error
from duly.errors import InvalidArgument, TransportError
from duly.transport import Envelope

__all__ = ["THREADS", "Around", "Caller", "checked_around"]

Around = Callable[[Envelope], AbstractAsyncContextManager[Any]]
"""What makes an async context manager that is entered round each call of a function."""

THREADS: Final = 12
"""Plain functions that run at a time, unless told otherwise.

Each may hold a connection of a database all the while: SQLAlchemy lends at most 15 by default.
"""


class Caller:
    """What transports that call functions have in common.

    A turn for a thread is waited for on the loop, so that who gives up leaves nothing behind. It
    ends with the function, which may be long after its publish.
    """

    own_tasks = True

    def __init__(self, threads: int = THREADS) -> None:
        self._most = threads
        self._threads: ThreadPoolExecutor | None = None
        self._around: list[Around] = []
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

    async def _call(self, handler: Checked, envelope: Envelope) -> object:
        """What a function returns, awaited if that can be."""
        if handler.is_async:
            if not self._around:
                return await _taken(handler.call(envelope))
            async with self._within(envelope):
                return await _taken(handler.call(envelope))
        running = self._left_behind.get(envelope.delivery_id) if self._left_behind else None
        if running is None or running.done():  # else it is not started again beside itself
            start = self._start_within if self._around else self._start
            running = await start(handler, envelope)
        try:
            result = await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if running.cancelled():
                raise
            raise self._left(envelope, running) from None
        return await _taken(result)

    def _left(self, envelope: Envelope, running: Future[object]) -> StillRunning:
        """What to raise when a publish was cancelled and its function goes on."""
        id = envelope.delivery_id
        self._left_behind[id] = running
        running.add_done_callback(lambda _: self._left_behind.pop(id, None))
        return StillRunning(_told(running))

    @asynccontextmanager
    async def _within(self, envelope: Envelope) -> AsyncIterator[None]:
        """Within all that was given to be entered round each call, the first outermost."""
        async with AsyncExitStack() as stack:
            for around in self._around:
                await stack.enter_async_context(around(envelope))
            yield

    async def _start(self, handler: Checked, envelope: Envelope) -> Future[object]:
        """Start a plain function in a thread, when it is its turn."""
        loop = asyncio.get_running_loop()
        turns = self._turns.setdefault(loop, Semaphore(self._most))
        with waiting() if turns.locked() else contextlib.nullcontext():
            await turns.acquire()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._most, "duly-local")

        def end(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(turns.release)

        run = contextvars.copy_context().run
        running = self._threads.submit(run, _in_thread, handler, envelope)
        running.add_done_callback(end)
        return running

    async def _start_within(self, handler: Checked, envelope: Envelope) -> Future[object]:
        """The same within what is entered round it, which is left when the function has ended.

        A task of its own sees to that, as the publish may be cancelled long before.
        """
        begun = asyncio.get_running_loop().create_future()
        whole: Future[object] = Future()
        whole.set_running_or_notify_cancel()  # nobody can cancel it

        async def run() -> object:
            try:
                async with self._within(envelope):
                    running = await self._start(handler, envelope)
                    begun.set_result(None)
                    return await _taken(await asyncio.wrap_future(running))
            except (KeyboardInterrupt, SystemExit) as odd:
                return _Odd(odd)  # raised by who awaits it: a task must not

        task = asyncio.create_task(run())
        task.add_done_callback(lambda _: _pass_on(task, whole))
        try:
            await asyncio.wait({begun, task}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if begun.done():  # just now
                raise self._left(envelope, whole) from None
            task.cancel()
            await asyncio.wait({task})
            raise
        return whole


def checked_around(around: Callable[..., object]) -> Around:
    """What is to be entered round each call.

    Raises:
        InvalidArgument: something that cannot be called with an envelope, or makes no manager.
    """
    if not callable(around):
        raise InvalidArgument(f"wrap() takes a function of the envelope, not {shown(around)}")
    name = name_of(around)
    if inspect.isasyncgenfunction(around) or inspect.isgeneratorfunction(around):
        raise InvalidArgument(f"{name} must be decorated with contextlib.asynccontextmanager")
    if inspect.iscoroutinefunction(around):
        raise InvalidArgument(f"{name} must return an async context manager, and not be async")
    if _makes_plain_managers(around):
        raise InvalidArgument(
            f"{name} must be async and decorated with contextlib.asynccontextmanager, not with "
            "contextmanager"
        )
    try:
        inspect.signature(around).bind(None)
    except TypeError:
        raise InvalidArgument(f"{name} must take one argument, the envelope") from None
    except ValueError:
        pass  # built in, without a signature
    return cast(Around, around)


_PLAIN: Final[Any] = contextlib.contextmanager(iter)  # any function decorated so


def _makes_plain_managers(around: Any) -> bool:
    """Whether it is decorated with ``contextlib.contextmanager``, as its code tells."""
    while isinstance(around, functools.partial):
        around = around.func
    return getattr(around, "__code__", None) is _PLAIN.__code__


def _in_thread(handler: Checked, envelope: Envelope) -> object:
    """What a function returned, or raised if that is no error."""
    try:
        return handler.call(envelope)
    except StopIteration as error:  # a future cannot hold it
        raise TransportError(f"{name_of(handler.function)} raised {error!r}") from error
    except Exception:
        raise
    except BaseException as odd:  # noqa: BLE001  # told by who awaits this
        return _Odd(odd)


class _Odd(NamedTuple):
    error: BaseException


async def _taken(result: object) -> object:
    """Await what a function returned, if that can be, or raise what a plain one raised."""
    if inspect.isawaitable(result):
        return await result
    if isinstance(result, _Odd):
        raise result.error
    return result


def _pass_on(task: "asyncio.Task[object]", whole: Future[object]) -> None:
    if task.cancelled():
        whole.set_exception(TransportError("somebody has cancelled what is entered round it"))
    elif error := task.exception():
        whole.set_exception(error)
    else:
        whole.set_result(task.result())


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
