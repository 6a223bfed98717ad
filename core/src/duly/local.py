"""``local://``: due messages are handed to functions of this process.

    transport = LocalTransport()

    @transport.on("orders.reminder")
    async def remind(envelope: duly.Envelope) -> None: ...

Async functions are awaited on the scheduler's loop; plain ones run in threads, so that they may
block. A message is delivered when its function returns, and failed when it raises. What is
registered with :func:`duly.local.on` is shared by all schedulers on the URL ``local://``.
"""

import difflib
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from duly._local.calling import THREADS, Caller, Checked, Handler, checked, name_of
from duly._values.limits import NO_LIMITS
from duly._values.patterns import best_match, is_prefix
from duly._values.plain import shown, text_of
from duly.errors import InvalidArgument, TransportError
from duly.hookspecs import TransportFactory, hookimpl
from duly.transport import Envelope, Limits
from duly.url import parse

__all__ = ["FunctionTransport", "Handler", "LocalTransport", "duly_transports", "on"]

H = TypeVar("H", bound=Handler)

_OF_ONE_NAME: Final = THREADS // 4
_NAMES: Final = 1000  # that may have limits of their own
_PREFIXES: Final = 50  # among them
_ANY: Final = 10**6  # publishes at a time: no limit


class LocalTransport(Caller):
    """Delivers to functions of this process, by event name.

    A message whose event name has no function is a failed attempt, to be tried again: during a
    rolling deploy another process may know it already. A function may also be registered for a
    prefix that ends in ``.*``, or for ``*``, which means all names: it gets the messages of names
    that have no function of their own and none under a longer prefix.

    At most 32 plain functions run at a time, at most 8 of them for one event name, so that one that
    hangs leaves room for others; a message that waits for one of them is not being published yet.

    A plain function that outlives ``publish_timeout`` cannot be stopped: it gives its slot back and
    keeps its thread and its claim, is not started again meanwhile, and counts as a delivery if it
    ends well after all. What calls ``sys.exit()`` or raises KeyboardInterrupt, async or not, has
    failed like any other, and the scheduler drains before that goes on outwards.
    """

    def __init__(self) -> None:
        super().__init__()
        self._handlers: dict[str, Checked] = {}
        self._limits = NO_LIMITS

    def on(self, event_name: str) -> Callable[[H], H]:
        """Decorates the function that gets the messages of an event name, or of a prefix.

        A function may be registered under several names.

        Raises:
            InvalidArgument: no event name, a name that has a function already, or something that
                cannot be called with an envelope.
        """
        name = text_of(event_name)
        if not name:
            raise InvalidArgument(
                "on() takes an event name, as in "
                f'@transport.on("orders.reminder"): {shown(event_name)}'
            )

        def register(function: H) -> H:
            if name in self._handlers:
                raise InvalidArgument(f"{name!r} has a handler already in {self!r}")
            self._handlers[name] = checked(function)
            self._limits = _limits_of_threads(self._handlers)
            return function

        return register

    def limits(self) -> Limits:
        """So many plain functions as there are threads, some for each event name."""
        return self._limits

    async def publish(self, envelope: Envelope) -> None:
        """Return when the function of the event name has; what it raises is raised here.

        Raises:
            TransportError: no function is registered under that name.
        """
        handler = best_match(self._handlers, envelope.event_name)
        if handler is None:
            near = difflib.get_close_matches(envelope.event_name, self._handlers, n=1)
            hint = "".join(f"; there is one for {name!r}" for name in near)
            raise TransportError(f"no handler is registered for {envelope.event_name!r}{hint}")
        await self._call(handler, envelope)

    def __repr__(self) -> str:
        return f"<LocalTransport {', '.join(sorted(self._handlers)) or 'without handlers'}>"


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


def _limits_of_threads(handlers: Mapping[str, Checked]) -> Limits:
    plain = [name for name, each in handlers.items() if not each.is_async]
    if not plain:
        return NO_LIMITS
    prefixes = [name for name in plain if is_prefix(name)][:_PREFIXES]
    own = [name for name in plain if not is_prefix(name)][: _NAMES - len(prefixes)]
    by_name = dict.fromkeys([*own, *prefixes], _OF_ONE_NAME)
    if prefixes:  # which do not stand for what has an async function
        others = [name for name, each in handlers.items() if each.is_async]
        exact = [name for name in others if not is_prefix(name)]
        longer = [name for name in others if is_prefix(name)][: _PREFIXES - len(prefixes)]
        by_name |= dict.fromkeys([*longer, *exact][: _NAMES - len(by_name)], _ANY)
    return Limits(by_name=by_name, together=[(plain, THREADS)])


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
