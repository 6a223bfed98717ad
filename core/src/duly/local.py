"""``local://``: due messages are handed to functions of this process.

    transport = LocalTransport()

    @transport.on("orders.reminder")
    async def remind(envelope: duly.Envelope) -> None: ...

Async functions are awaited on the scheduler's loop; plain ones run in threads, so that they may
block. A message is delivered when its function returns, and failed when it raises. What is
registered with :func:`duly.local.on`, ``cron``, ``every`` and ``wrap`` is shared by all schedulers
on the URL ``local://``.
"""

import difflib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar, overload

from duly._local.binding import Handler, checked, name_of
from duly._local.calling import THREADS, Around, Caller, checked_around
from duly._local.registering import Handlers, Needs, Registered, as_threads
from duly._local.series import OwnSeries
from duly._local.typed import Typed
from duly._values.limits import NO_LIMITS
from duly._values.plain import shown, text_of
from duly.errors import InvalidArgument, TransportError
from duly.event import Event
from duly.hookspecs import TransportFactory, hookimpl
from duly.recovery import Policy
from duly.transport import Envelope, Limits
from duly.url import parse

__all__ = [
    "FunctionTransport",
    "Handler",
    "LocalTransport",
    "cron",
    "duly_transports",
    "every",
    "on",
    "wrap",
]

H = TypeVar("H", bound=Handler)
F = TypeVar("F", bound=Callable[..., object])
A = TypeVar("A", bound=Around)
T = TypeVar("T")


class LocalTransport(OwnSeries, Caller):
    """Delivers to functions of this process, by event name.

    A message whose event name has no function is a failed attempt, to be tried again: during a
    rolling deploy another process may know it already. A function may also be registered for a
    prefix that ends in ``.*``, or for ``*``, which means all names: it gets the messages of names
    that have no function of their own and none under a longer prefix.

    At most ``threads`` plain functions run at a time, by default 12, two thirds of them for one
    event name, so that one that hangs leaves room for others; a message that waits for one of them
    is not being published yet. Each may need a connection of a database: give as many threads as
    the pool can lend beside what else uses it.

    A plain function that outlives its timeout cannot be stopped: it gives its slot back and
    keeps its thread and its claim, is not started again meanwhile, and counts as a delivery if it
    ends well after all. What calls ``sys.exit()`` or raises KeyboardInterrupt, async or not, has
    failed like any other, and the scheduler drains before that goes on outwards.

    Raises:
        InvalidArgument: ``threads`` is no whole number from 1 to 1,000.
    """

    def __init__(self, *, threads: int = THREADS) -> None:
        super().__init__(as_threads(threads))
        self._handlers = Handlers(self._most)

    @overload
    def on(
        self,
        event: str,
        *,
        max_in_flight: int | None = None,
        timeout: timedelta | None = None,
        recovery: Policy | None = None,
    ) -> Callable[[H], H]: ...

    @overload
    def on(
        self,
        event: Event[T],
        *,
        max_in_flight: int | None = None,
        timeout: timedelta | None = None,
        recovery: Policy | None = None,
    ) -> Typed[T]: ...

    def on(
        self,
        event: str | Event[Any],
        *,
        max_in_flight: int | None = None,
        timeout: timedelta | None = None,
        recovery: Policy | None = None,
    ) -> Any:
        """Decorates the function that gets the messages of an event, an event name or a prefix.

        That of an :class:`duly.Event` takes the payload, read as its type, then the envelope; or
        only one of them, or nothing. One that takes a single argument gets the payload, unless that
        is annotated as :class:`duly.Envelope`. That of a name or a prefix takes the envelope. A
        function may be registered under several names.

        ``max_in_flight`` is how many of its publishes run side by side in one scheduler;
        ``timeout`` how long one may take, instead of ``publish_timeout``; ``recovery`` decides
        after a failure or a lapsed claim: it is asked after plugins and before that of the
        scheduler.

        Raises:
            InvalidArgument: no event, a name that has a function already, something that cannot be
                called so or is annotated as a class that it would not be given, or a need out of
                bounds.
        """
        name = event.name if isinstance(event, Event) else text_of(event)
        if not name:
            raise InvalidArgument(
                "on() takes an event or an event name, as in "
                f'@transport.on("orders.reminder"): {shown(event)}'
            )
        needs = Needs(max_in_flight=max_in_flight, timeout=timeout, recovery=recovery)

        def register(function: F) -> F:
            typed = event if isinstance(event, Event) else None
            self._handlers.put(name, Registered(checked(function, typed), needs, typed), self)
            return function

        return register

    def wrap(self, around: A) -> A:
        """Have something entered round each call of a function: a session, a log context.

        ``around`` is called with the envelope and returns an async context manager. What it raises,
        and what it lets through, has failed; what it suppresses counts as delivered. Of several the
        first is outermost. ContextVars that it sets are seen by the function, in a thread too.

            @transport.wrap
            @contextlib.asynccontextmanager
            async def logged(envelope): ...

        Raises:
            InvalidArgument: something that cannot be called with an envelope, or makes none.
        """
        self._around.append(checked_around(around))
        return around

    def limits(self) -> Limits:
        """What the handlers need, and how many threads there are."""
        return self._handlers.limits

    async def publish(self, envelope: Envelope) -> None:
        """Return when the function of the event name has; what it raises is raised here.

        Raises:
            TransportError: no function is registered under that name.
            Rejected: the payload cannot be read as the type of the event.
        """
        await self.call(envelope)

    async def call(self, envelope: Envelope) -> Any:
        """The same; returns what the function has returned."""
        found = self._handlers.of(envelope.event_name)
        if found is None:
            names = self._handlers.by_name
            near = difflib.get_close_matches(envelope.event_name, names, n=1)
            hint = "".join(f"; there is one for {name!r}" for name in near)
            raise TransportError(f"no handler is registered for {envelope.event_name!r}{hint}")
        return await self._call(found.handler, envelope)

    def registered(self, function: object) -> Mapping[str, Event[Any] | None]:
        """The names and prefixes under which a function is registered, each with its event."""
        return {
            name: each.event
            for name, each in self._handlers.by_name.items()
            if each.handler.function == function
        }

    def __repr__(self) -> str:
        names = ", ".join(sorted(self._handlers.by_name))
        return f"<LocalTransport {names or 'without handlers'}>"


class FunctionTransport(Caller):
    """Delivers everything to one function: what ``Scheduler(store, handler)`` makes of it.

    Threads and cancellation are as in :class:`LocalTransport`.

    Raises:
        InvalidArgument: something that cannot be called with an envelope.
    """

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = checked(handler)
        self._limits = NO_LIMITS if self._handler.is_async else Limits(in_all=THREADS)

    def limits(self) -> Limits:
        """A plain function runs once for each thread."""
        return self._limits

    async def publish(self, envelope: Envelope) -> None:
        """Return when the function has; what it raises is raised here."""
        await self._call(self._handler, envelope)

    def __repr__(self) -> str:
        return f"<FunctionTransport {name_of(self._handler.function)}>"


_shared: Final = LocalTransport()
on: Final = _shared.on
cron: Final = _shared.cron
every: Final = _shared.every
wrap: Final = _shared.wrap


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
