"""The same doors for code that is not async: threads, WSGI services, scripts.

    import duly.sync

    with duly.sync.Scheduler("sqlite:///orders.db", transport) as scheduler:
        scheduler.schedule(duly.Message("orders.reminder", scheduled_at=duly.after(hours=1)))
        with scheduler.running():
            ...

Each verb does what its namesake of :class:`duly.Client` or :class:`duly.Scheduler` does, with the
same arguments, answers and errors, and returns when it is done. Behind each object runs one event
loop in one daemon thread, from the first call until :meth:`Client.close`: what one object is busy
with holds up no other, and nothing is shared that somebody would have to end. So

- an object may be used from any number of threads at a time;
- plain functions as handlers run in threads and may use the object, ``async`` ones run on its loop
  and must not: SchedulerStateError; neither must observers and recovery policies;
- a thread that is interrupted (Ctrl-C) cancels its call and sees it end;
- ``within=`` takes transactions of blocking code, such as a :class:`sqlite3.Connection`, and is
  carried out in the calling thread, to which they belong; what belongs to an event loop is
  Unsupported, and a thread that runs an event loop itself is a SchedulerStateError;
- once closed it stays closed: SchedulerStateError;
- after a fork, what was used before it is of no use in the child: SchedulerStateError. Make one in
  each process, or make it before the fork and use it behind;
- what is still open when the main thread ends is closed: a scheduler then waits for nothing and
  puts back what it has in hand.
"""

import asyncio
import atexit
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar
from weakref import WeakSet

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from duly._arguments import all_or_none, as_flag, as_iterable
from duly._loop_thread import LoopThread
from duly.client import Cancellation
from duly.client import Client as AsyncClient
from duly.errors import PartlyScheduled, SchedulerStateError, StoreError, Unsupported
from duly.health import Health
from duly.message import Filter, Message
from duly.recovery import Policy
from duly.scheduler import Handler
from duly.scheduler import Scheduler as AsyncScheduler
from duly.store import Stats, Store
from duly.transport import Transport

__all__ = ["Client", "Scheduler"]

P = ParamSpec("P")
T = TypeVar("T")

_ALL: Final = Filter()
_PAGE: Final = 500  # messages that change threads together
_PATIENCE: Final = 3.0  # seconds that one object may take to end when the interpreter does

_open: "WeakSet[Client]" = WeakSet()


class Client:
    """Schedules, cancels and looks up messages in one store; :class:`duly.Client` tells the rest.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a plugin with a misspelt hook, or no plugin for the URL.
    """

    _inner: AsyncClient

    def __init__(
        self,
        store: str | Store,
        *,
        max_payload: int = 1_048_576,
        store_timeout: timedelta = timedelta(seconds=10),
        plugins: Sequence[object] = (),
        load_plugins: bool | Collection[str] = True,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._begin(
            AsyncClient(
                store,
                max_payload=max_payload,
                store_timeout=store_timeout,
                plugins=plugins,
                load_plugins=load_plugins,
                tracer_provider=tracer_provider,
                meter_provider=meter_provider,
            )
        )

    def _begin(self, inner: AsyncClient) -> None:
        self._inner = inner
        self._thread = LoopThread()
        _open.add(self)

    def open(self) -> None:
        """Open the store now; the first call does it otherwise."""
        self._thread.call(self._inner.open)

    def close(self) -> None:
        """Wait for calls under way, close the store if it was made from a URL, end the thread.

        Again, and in a process forked off since, it does nothing.
        """
        try:
            if self._thread.started:
                self._thread.call(self._inner.close)
        finally:
            self._thread.end()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def schedule(self, message: Message, *, replace: bool = False, within: Any = None) -> str:
        """Store a message to be published when it is due; its id."""
        return self._act(within, self._inner.schedule, message, replace=replace, within=within)

    def schedule_many(
        self,
        messages: Iterable[Message],
        *,
        replace: bool = False,
        atomic: bool = True,
        within: Any = None,
    ) -> list[str]:
        """Store many messages, all or none; their ids, in order.

        ``messages`` is iterated over in the calling thread.
        """
        if not as_flag(atomic, "atomic"):
            return self._schedule_each(messages, as_flag(replace, "replace"), within)
        group = all_or_none(messages, sys.maxsize)  # max_payload is looked at behind this door
        return self._act(within, self._inner.schedule_many, group, replace=replace, within=within)

    def _schedule_each(
        self, messages: Iterable[Message], replace: bool, within: object
    ) -> list[str]:
        schedule = self._inner.schedule_many
        stored: list[str] = []
        cause: BaseException | None = None
        left = iter(as_iterable(messages))
        while not isinstance(cause, StoreError) and (some := list(islice(left, _PAGE))):
            try:
                stored += self._act(
                    within, schedule, some, replace=replace, atomic=False, within=within
                )
            except PartlyScheduled as error:
                stored += error.stored_ids
                cause = cause or error.__cause__
        if cause is not None:
            text = f"{len(stored)} messages are stored, others are not: {cause}"
            raise PartlyScheduled(text, stored) from cause
        return stored

    def cancel(
        self, message_id: str, *, missing_ok: bool = False, within: Any = None
    ) -> Cancellation:
        """Take a message back: CANCELLED means that it will not be published."""
        return self._act(
            within, self._inner.cancel, message_id, missing_ok=missing_ok, within=within
        )

    def cancel_many(self, filter: Filter) -> int:
        """Cancel all messages that match; how many were CANCELLED."""
        return self._thread.call(self._inner.cancel_many, filter)

    def purge(self, filter: Filter = _ALL) -> int:
        """Remove the dead letters that match, for good; how many there were."""
        return self._thread.call(self._inner.purge, filter)

    def reschedule(self, message_id: str, scheduled_at: datetime, *, within: Any = None) -> None:
        """Move a waiting message; of a series it moves the next fire, and ``Every`` counts on."""
        self._act(within, self._inner.reschedule, message_id, scheduled_at, within=within)

    def replay(self, message_id: str, *, at: datetime | None = None) -> None:
        """Schedule a dead letter again, counters at 0: due ``at``, or at once."""
        self._thread.call(self._inner.replay, message_id, at=at)

    def get(self, message_id: str) -> Message:
        """The message of that id."""
        return self._thread.call(self._inner.get, message_id)

    def list(self, filter: Filter = _ALL) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        return self._thread.call(self._inner.list, filter)

    def iterate(self, filter: Filter = _ALL) -> Iterator[Message]:
        """The messages that match, a page at a time, so that any number fits into memory."""
        messages = self._inner.iterate(filter)

        async def some() -> Sequence[Message]:
            page = []
            async for message in messages:
                page.append(message)
                if len(page) == _PAGE:
                    break
            return page

        while page := self._thread.call(some):
            yield from page

    def stats(self) -> Stats:
        """How many messages the store holds, and when the first of them is due."""
        return self._thread.call(self._inner.stats)

    def health(self) -> Health:
        """Whether all is well; never raises for the store's trouble, it tells of it."""
        return self._thread.call(self._inner.health)

    def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """Bring the store's schema up to date; the statements that were, or would be, run."""
        return self._thread.call(self._inner.migrate, dry_run=dry_run)

    def _act(
        self,
        transaction: object,
        function: Callable[P, Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call on the loop, or, in a transaction of the caller's, in the caller's thread."""
        if transaction is None:
            return self._thread.call(function, *args, **kwargs)
        _refuse_async(transaction)
        self._thread.call(self._inner.open)  # there, not on the loop of a moment
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            return runner.run(function(*args, **kwargs))

    def _leave(self) -> None:
        """Called when the interpreter exits, which nobody is to notice."""
        if self._thread.started:
            with suppress(SchedulerStateError):
                self._thread.begin(self._give_up).ended.wait(_PATIENCE)
            self._thread.end(_PATIENCE)

    async def _give_up(self) -> None:
        await self._inner.close()


class Scheduler(Client):
    """Claims messages when they are due and publishes them; :class:`duly.Scheduler` tells the rest.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a plugin with a misspelt hook, or no plugin for a URL.
    """

    _inner: "_Scheduler"

    def __init__(
        self,
        store: str | Store,
        transport: str | Transport | Handler,
        *,
        poll_interval: timedelta = timedelta(milliseconds=100),
        batch_size: int = 100,
        stuck_duration: timedelta = timedelta(minutes=5),
        max_in_flight: int = 1000,
        publish_timeout: timedelta = timedelta(seconds=30),
        recovery: Policy | None = None,
        max_payload: int = 1_048_576,
        store_timeout: timedelta = timedelta(seconds=10),
        plugins: Sequence[object] = (),
        load_plugins: bool | Collection[str] = True,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._begin(
            _Scheduler(
                store,
                transport,
                poll_interval=poll_interval,
                batch_size=batch_size,
                stuck_duration=stuck_duration,
                max_in_flight=max_in_flight,
                publish_timeout=publish_timeout,
                recovery=recovery,
                max_payload=max_payload,
                store_timeout=store_timeout,
                plugins=plugins,
                load_plugins=load_plugins,
                tracer_provider=tracer_provider,
                meter_provider=meter_provider,
            )
        )

    def start(self) -> None:
        """Deliver until :meth:`stop` is called by another thread; then drain and return.

        Interrupted, it drains likewise.
        """
        self._thread.call(self._inner.start)

    def stop(self, timeout: timedelta = timedelta(seconds=20)) -> None:
        """Claim no more, let publishes in flight end, settle, and return in any case.

        A handler that calls this waits for itself as long as ``timeout`` allows.
        """
        self._thread.call(self._inner.stop, timeout)

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Deliver in the background of a ``with`` block; drains at its end."""
        block = self._inner.running()
        self._thread.call(block.__aenter__)
        try:
            yield self
        finally:
            self._thread.call(block.__aexit__, None, None, None)

    def run(self) -> None:
        """Open, deliver until SIGINT or SIGTERM, drain and close: a whole main program.

        A second signal stops waiting for publishes. In another than the main thread no signal is
        heard, and it goes on until :meth:`stop`.
        """
        stops = iter([timedelta(seconds=20)])

        def stop(*_: object) -> None:
            self._thread.begin(self._inner.stop, next(stops, timedelta(0)))

        with self:
            start = self._thread.begin(self._inner.start)
            with _signals(stop):  # not before it starts: what is not running cannot be stopped
                self._thread.wait(start)

    async def _give_up(self) -> None:
        await self._inner.stop(timedelta(0))
        await super()._give_up()


class _Scheduler(AsyncScheduler):
    """Is told on its own loop of what was stored in a caller's transaction, in another thread."""

    def _stored(self, messages: Sequence[Message]) -> None:
        AsyncClient._stored(self, messages)
        engine, run = self._engine, self._run
        if engine is not None and run is not None and messages:
            run.get_loop().call_soon_threadsafe(engine.loop.expect, messages)


def _refuse_async(transaction: object) -> None:
    name = type(transaction).__name__
    execute = getattr(transaction, "execute", None)
    if hasattr(transaction, "__aenter__") or inspect.iscoroutinefunction(execute):
        raise Unsupported(f"a {name} belongs to an event loop: use duly.Client there")
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise SchedulerStateError("this thread runs an event loop: use duly.Client within=")


@contextmanager
def _signals(handler: Callable[..., object]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, former in zip(numbers, before, strict=True):
            signal.signal(number, former or signal.SIG_DFL)


def _leave() -> None:
    for each in list(_open):
        each._leave()


# Its hook runs while threads can still be started, as stores must; that of atexit comes too late.
getattr(threading, "_register_atexit", atexit.register)(_leave)
