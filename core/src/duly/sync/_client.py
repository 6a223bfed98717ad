"""The caller's verbs for blocking code: each made from its async namesake."""

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from itertools import islice
from types import TracebackType
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar, Unpack

from duly._caller.arguments import all_or_none, as_flag, as_iterable
from duly._caller.options import ClientOptions, takes
from duly.client import Client as AsyncClient
from duly.errors import PartlyScheduled, SchedulerStateError, StoreError, Unsupported
from duly.message import Filter, Message
from duly.store import Store
from duly.sync._loop_thread import GiveUp, LoopThread

__all__ = ["Client", "blocking"]

P = ParamSpec("P")
T = TypeVar("T")

_ALL: Final = Filter()
_PAGE: Final = 500  # messages that change threads together
_PAGE_BYTES: Final = 8 * 1024 * 1024


def blocking(
    verb: Callable[Concatenate[Any, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate["Client", P], T]:
    """The same verb for any thread: it returns when it is done."""

    def call(self: "Client", /, *args: P.args, **kwargs: P.kwargs) -> T:
        awaited: Callable[P, Coroutine[Any, Any, T]] = getattr(self._inner, verb.__name__)
        return self._act(kwargs.get("within"), awaited, *args, **kwargs)

    functools.update_wrapper(call, verb)
    del call.__wrapped__  # type: ignore[attr-defined]  # with it, it would be taken for async
    call.__signature__ = inspect.signature(verb)  # type: ignore[attr-defined]  # asked for by inspect
    return call


class Client:
    """Schedules, cancels and looks up messages in one store; :class:`duly.Client` tells the rest.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: one of ``plugins`` is declared wrongly, or no plugin serves the URL.
    """

    _inner: AsyncClient

    @takes(ClientOptions)
    def __init__(self, store: str | Store, **options: Unpack[ClientOptions]) -> None:
        inner = AsyncClient(store, **options)
        self._stand_before(inner, inner.close)

    def _stand_before(self, inner: AsyncClient, give_up: GiveUp) -> None:
        self._inner = inner
        self._thread = LoopThread(give_up)

    def close(self) -> None:
        """Wait for what is being stored, close the store if it was made from a URL; end the thread.

        Other calls under way end in SchedulerStateError. A second time, or in a child process
        after a fork, it does nothing.
        """
        if not self._thread.started:
            self._thread.end()
            self._thread.raise_ending()
            return
        try:
            close = self._thread.begin(self._inner.close)
        except (KeyboardInterrupt, SystemExit):  # of a handler, which has ended the loop
            self._thread.end()
            raise
        try:
            self._thread.wait(close)
        finally:
            self._thread.end()

    def __enter__(self) -> Self:
        self._thread.call(self._inner.__aenter__)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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
        group = all_or_none(messages, sys.maxsize)  # max_payload is checked by the async client
        return self._act(within, self._inner.schedule_many, group, replace=replace, within=within)

    def _schedule_each(
        self, messages: Iterable[Message], replace: bool, within: object
    ) -> list[str]:
        schedule = self._inner.schedule_many
        stored: list[str] = []
        cause: BaseException | None = None
        as_iterable(messages)
        left = iter(messages)
        try:
            while not isinstance(cause, StoreError) and (some := list(islice(left, _PAGE))):
                try:
                    stored += self._act(
                        within, schedule, some, replace=replace, atomic=False, within=within
                    )
                except PartlyScheduled as error:
                    stored += error.stored_ids
                    cause = cause or error.__cause__
        except Exception as error:  # of what makes the messages, too
            if not stored and cause is None:
                raise
            cause = cause or error
        if cause is not None:
            text = f"{len(stored)} messages are stored, others are not: {cause}"
            raise PartlyScheduled(text, stored) from cause
        return stored

    def iterate(
        self, filter: Filter = _ALL, *, payload: bool = True, within: Any = None
    ) -> Iterator[Message]:
        """The messages that match, a page at a time, so that any number fits into memory."""
        messages = self._inner.iterate(filter, payload=payload, within=within)

        async def some() -> Sequence[Message]:
            page, size = [], 0
            async for message in messages:
                page.append(message)
                size += len(message.payload) if payload else 0
                if len(page) == _PAGE or size >= _PAGE_BYTES:
                    break
            return page

        while page := self._act(within, some):
            yield from page

    open = blocking(AsyncClient.open)
    schedule = blocking(AsyncClient.schedule)
    cancel = blocking(AsyncClient.cancel)
    cancel_many = blocking(AsyncClient.cancel_many)
    purge = blocking(AsyncClient.purge)
    reschedule = blocking(AsyncClient.reschedule)
    ensure = blocking(AsyncClient.ensure)
    declare = blocking(AsyncClient.declare)
    pause = blocking(AsyncClient.pause)
    resume = blocking(AsyncClient.resume)
    limit = blocking(AsyncClient.limit)
    controls = blocking(AsyncClient.controls)
    replay = blocking(AsyncClient.replay)
    replay_many = blocking(AsyncClient.replay_many)
    fire = blocking(AsyncClient.fire)
    get = blocking(AsyncClient.get)
    list = blocking(AsyncClient.list)
    search = blocking(AsyncClient.search)
    count = blocking(AsyncClient.count)
    where = blocking(AsyncClient.where)
    upcoming = blocking(AsyncClient.upcoming)
    forecast = blocking(AsyncClient.forecast)
    names = blocking(AsyncClient.names)
    series = blocking(AsyncClient.series)
    stats = blocking(AsyncClient.stats)
    health = blocking(AsyncClient.health)
    migrate = blocking(AsyncClient.migrate)
    schedulers = blocking(AsyncClient.schedulers)
    recover = blocking(AsyncClient.recover)
    why = blocking(AsyncClient.why)
    causes = blocking(AsyncClient.causes)
    standing = blocking(AsyncClient.standing)

    def _act(
        self,
        transaction: object,
        function: Callable[P, Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call on the loop; with a transaction of the caller's, in the caller's thread."""
        if transaction is None:
            return self._thread.call(function, *args, **kwargs)
        _refuse_async(transaction)
        self._thread.call(self._inner.open)  # on its own loop, not on the temporary one here
        with closing(asyncio.new_event_loop()) as loop:
            return loop.run_until_complete(function(*args, **kwargs))


def _refuse_async(transaction: object) -> None:
    name = type(transaction).__name__
    execute = getattr(transaction, "execute", None)
    if hasattr(transaction, "__aenter__") or inspect.iscoroutinefunction(execute):
        raise Unsupported(f"this {name} belongs to an event loop: use duly.Client there")
    with suppress(RuntimeError):
        asyncio.get_running_loop()
        raise SchedulerStateError("this thread runs an event loop: use duly.Client within=")
