"""``local://``: due messages are handed to functions of this process.

    transport = LocalTransport()

    @transport.on("orders.reminder")
    async def remind(envelope: duly.Envelope) -> None: ...

Async functions are awaited on the scheduler's loop; plain ones run in threads, so that they may
block. A message is delivered when its function returns, and failed when it raises. What is
registered with :func:`duly.local.on` is shared by all schedulers on the URL ``local://``.
"""

import asyncio
import contextlib
import contextvars
import difflib
import inspect
from asyncio import AbstractEventLoop, Semaphore
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar
from weakref import WeakValueDictionary

from duly.errors import InvalidArgument, TransportError
from duly.hookspecs import TransportFactory, hookimpl
from duly.transport import Envelope
from duly.url import parse

__all__ = ["FunctionTransport", "Handler", "LocalTransport", "duly_transports", "on"]

Handler = Callable[[Envelope], object]
"""Called with each envelope: an async function, a plain one, or an object with ``__call__``."""

H = TypeVar("H", bound=Handler)

_THREADS: Final = 32
_QUARTER: Final = _THREADS // 4


class _Checked(NamedTuple):
    function: Handler
    is_async: bool


class _Caller:
    """Awaits async functions, and runs plain ones in threads that are started when needed.

    A turn for a thread is waited for on the loop, so that who gives up leaves nothing behind. It
    ends with the function, which may be long after its publish was cancelled.
    """

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None
        # Of each loop, for all event names and for each; kept while somebody has or awaits a turn.
        self._turns = WeakValueDictionary[tuple[AbstractEventLoop, str | None], Semaphore]()

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """Let the threads go, each when the function it runs has returned."""
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    async def _call(self, handler: _Checked, envelope: Envelope) -> None:
        if handler.is_async:
            result = handler.function(envelope)
        else:
            result = await self._call_in_thread(handler.function, envelope)
        if inspect.isawaitable(result):
            await result

    async def _call_in_thread(self, function: Handler, envelope: Envelope) -> object:
        loop = asyncio.get_running_loop()
        of_name = self._turns.setdefault((loop, envelope.event_name), Semaphore(_QUARTER))
        of_all = self._turns.setdefault((loop, None), Semaphore(_THREADS))
        with contextlib.ExitStack() as turns:
            for turn in (of_name, of_all):
                await turn.acquire()
                turns.callback(turn.release)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, "duly-local")
            run = contextvars.copy_context().run
            running = self._threads.submit(run, _in_thread, function, envelope)
            taken = turns.pop_all()

        def end(_: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(taken.close)

        running.add_done_callback(end)
        return await asyncio.wrap_future(running)


class LocalTransport(_Caller):
    """Delivers to functions of this process, by event name.

    A message whose event name has no function is a failed attempt, to be tried again: during a
    rolling deploy another process may know it already. At most 32 plain functions run at a time,
    at most 8 of them for one event name, so that one that hangs leaves room for others. One that
    is still running when its publish is cancelled cannot be stopped and runs to its end.
    """

    def __init__(self) -> None:
        super().__init__()
        self._handlers: dict[str, _Checked] = {}

    def on(self, event_name: str) -> Callable[[H], H]:
        """Decorates the function that gets the messages of an event name.

        A function may be registered under several names.

        Raises:
            InvalidArgument: no event name, a name that has a function already, or something that
                cannot be called with an envelope.
        """
        if not _is_name(event_name):
            raise InvalidArgument(
                f'on() takes an event name, as in @transport.on("orders.reminder"): {event_name!r}'
            )

        def register(function: H) -> H:
            if event_name in self._handlers:
                raise InvalidArgument(f"{event_name!r} has a handler already in {self!r}")
            self._handlers[event_name] = _check(function)
            return function

        return register

    async def publish(self, envelope: Envelope) -> None:
        """Return when the function of the event name has; what it raises is raised here.

        Raises:
            TransportError: no function is registered under that name.
        """
        handler = self._handlers.get(envelope.event_name)
        if handler is None:
            near = difflib.get_close_matches(envelope.event_name, self._handlers, n=1)
            hint = "".join(f"; there is one for {name!r}" for name in near)
            raise TransportError(f"no handler is registered for {envelope.event_name!r}{hint}")
        await self._call(handler, envelope)

    def __repr__(self) -> str:
        return f"<LocalTransport {', '.join(sorted(self._handlers)) or 'without handlers'}>"


class FunctionTransport(_Caller):
    """Delivers everything to one function: what ``Scheduler(store, handler)`` makes of it.

    Threads and cancellation are as in :class:`LocalTransport`.

    Raises:
        InvalidArgument: something that cannot be called with an envelope.
    """

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = _check(handler)

    async def publish(self, envelope: Envelope) -> None:
        """Return when the function has; what it raises is raised here."""
        await self._call(self._handler, envelope)

    def __repr__(self) -> str:
        return f"<FunctionTransport {_name(self._handler.function)}>"


def _check(function: Handler) -> _Checked:
    if not callable(function):
        raise InvalidArgument(f"a handler is a function, not {function!r}")
    kinds = (function, type(function).__call__)
    if any(inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind) for kind in kinds):
        raise InvalidArgument(f"{_name(function)} is a generator: calling it would do nothing")
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        raise InvalidArgument(f"{_name(function)} must take one argument, the envelope") from None
    except ValueError:
        pass  # built in, without a signature
    return _Checked(function, any(inspect.iscoroutinefunction(kind) for kind in kinds))


def _in_thread(function: Handler, envelope: Envelope) -> object:
    try:
        return function(envelope)
    except (
        StopIteration,
        SystemExit,
    ) as error:  # a future cannot hold the one, nor a loop survive the other
        raise TransportError(f"{_name(function)} raised {error!r}") from error


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _name(function: object) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


_shared: Final = LocalTransport()
on: Final = _shared.on


def _from_url(text: str) -> LocalTransport:
    url = parse(text)
    url.take_options()
    if url.hosts or url.path or url.username or url.password:
        raise InvalidArgument(f"{url}: local:// takes no host, path or user")
    return _shared


@hookimpl
def duly_transports() -> Mapping[str, TransportFactory]:
    """Offers ``local://``."""
    return {"local": _from_url}
