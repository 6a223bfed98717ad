"""The caller's verbs for blocking code."""

import asyncio
import inspect
import sys
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime, timedelta
from itertools import islice
from types import TracebackType
from typing import Any, Final, ParamSpec, Self, TypeVar

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from duly._caller.arguments import all_or_none, as_flag, as_iterable
from duly.client import Cancellation
from duly.client import Client as AsyncClient
from duly.errors import PartlyScheduled, SchedulerStateError, StoreError, Unsupported
from duly.health import Health
from duly.message import Filter, Message
from duly.store import Stats, Store
from duly.sync._loop_thread import GiveUp, LoopThread

__all__ = ["Client"]

P = ParamSpec("P")
T = TypeVar("T")

_ALL: Final = Filter()
_IN_TIME: Final = timedelta(seconds=5)
_PAGE: Final = 500  # messages that change threads together
_PAGE_BYTES: Final = 8 * 1024 * 1024


class Client:
    """Schedules, cancels and looks up messages in one store; :class:`duly.Client` tells the rest.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a misdeclared one among ``plugins``, or no plugin serves the URL.
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
        inner = AsyncClient(
            store,
            max_payload=max_payload,
            store_timeout=store_timeout,
            plugins=plugins,
            load_plugins=load_plugins,
            tracer_provider=tracer_provider,
            meter_provider=meter_provider,
        )
        self._stand_before(inner, inner.close)

    def _stand_before(self, inner: AsyncClient, give_up: GiveUp) -> None:
        self._inner = inner
        self._thread = LoopThread(give_up)

    def open(self) -> None:
        """Open the store now; the first call does it otherwise."""
        self._thread.call(self._inner.open)

    def close(self) -> None:
        """Wait for what is being stored, close the store if it was made from a URL; end the thread.

        Other calls under way end in SchedulerStateError. Again, and in a process that was forked
        off since, it does nothing.
        """
        if not self._thread.started:
            self._thread.end()
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

    def get(self, message_id: str, *, within: Any = None) -> Message:
        """The message of that id; ``within`` a transaction, as that sees it."""
        return self._act(within, self._inner.get, message_id, within=within)

    def list(
        self, filter: Filter = _ALL, *, payload: bool = True, within: Any = None
    ) -> Sequence[Message]:
        """A list of the messages that match, by ``(scheduled_at, id)``."""
        return self._act(within, self._inner.list, filter, payload=payload, within=within)

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

    def stats(self) -> Stats:
        """How many messages the store holds, and when the first of them is due."""
        return self._thread.call(self._inner.stats)

    def health(self, *, timeout: timedelta = _IN_TIME) -> Health:
        """Whether all is well, as far as was told within ``timeout``; it tells of all trouble."""
        return self._thread.call(self._inner.health, timeout=timeout)

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
