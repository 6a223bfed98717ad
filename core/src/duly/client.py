"""The front door of those who only schedule: all verbs of a caller."""

from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, ClassVar, Self

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from duly._caller.arguments import all_or_none, as_flag, as_message, as_number, as_store, chunks
from duly._caller.calls import StoreCalls
from duly._caller.changes import Cancellation, Changes
from duly._caller.inquiry import Inquiry
from duly._caller.intake import Intake
from duly._plugins.registry import Plugins
from duly._telemetry.telemetry import Telemetry
from duly.errors import PartlyScheduled, StoreError
from duly.message import Message
from duly.moment import as_duration
from duly.store import Group, Store
from duly.url import mask

__all__ = ["Cancellation", "Client"]


class Client(Changes):
    """Schedules, cancels and looks up messages in one store.

    ``store`` is a URL, or a store object, which is opened on first use and left open. Payloads
    may have up to ``max_payload`` bytes. A call that the store does not answer within
    ``store_timeout`` raises StoreUnavailable. ``plugins`` are used besides the installed ones and
    win over them; of the installed ``load_plugins`` lets all, none, or those named be imported
    when they are needed.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a misdeclared one among ``plugins``, or no plugin serves the URL.
    """

    _delivers: ClassVar[bool] = False  # whether the hooks of deliveries will be called

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
        self._max_payload = as_number(max_payload, "max_payload", at_least=0, at_most=2**30)
        timeout = as_duration(store_timeout, "store_timeout", at_least=timedelta(milliseconds=1))
        self._plugins = Plugins(plugins, load_plugins, deliveries=self._delivers)
        ours = isinstance(store, str)
        self._calls = StoreCalls(as_store(store, self._plugins), timeout, ours=ours)
        name = mask(store) if isinstance(store, str) else type(store).__name__
        self._telemetry = Telemetry(tracer_provider, meter_provider, store=name)
        self._intake = Intake(self._put, self._calls.patience)
        self._inquiry = Inquiry()

    async def open(self) -> None:
        """Open the store now; the first call does it otherwise.

        Raises:
            StoreUnavailable: it cannot be reached.
            StoreError: it cannot be used; the text says what to do.
        """
        self._calls.allow()
        await self._calls.open()

    async def close(self) -> None:
        """Wait for calls under way, then close the store if it was made from a URL."""
        await self._intake.drain()
        was_open = self._calls.opened
        try:
            await self._calls.close()
        finally:
            if was_open and not self._calls.opened:
                self._plugins.tell("duly_closed", client=self)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def schedule(self, message: Message, *, replace: bool = False, within: Any = None) -> str:
        """Store a message to be published when it is due; its id.

        The same id with the same ``created_at`` as the one stored is a repeat after a lost answer
        and no error, so that calling again with the same object is always safe: nothing changes,
        though it was moved since. To ``replace`` a dead letter is no repeat.

        Raises:
            InvalidMessage: the payload exceeds ``max_payload``; nothing is stored.
            DuplicateMessage: the id is taken, and not to ``replace``.
            StoreUnavailable: nobody knows whether it is stored: call again.
            Unsupported: the store has no transactions to act ``within``.
        """
        message = as_message(message, self._max_payload)
        await self._store_group([message], as_flag(replace, "replace"), within)
        return message.id

    async def schedule_many(
        self,
        messages: Iterable[Message],
        *,
        replace: bool = False,
        atomic: bool = True,
        within: Any = None,
    ) -> list[str]:
        """Store many messages, all or none; their ids, in order.

        At most 10,000 messages and 64 MiB. ``atomic=False`` takes any number from any iterable
        and stores them in chunks, each message on its own.

        Raises:
            DuplicateMessage: an id is taken or given twice.
            PartlyScheduled: some were stored and some not (``atomic=False`` only).
            Unsupported: this store cannot store many in one step: give ``atomic=False``.
            InvalidMessage, StoreUnavailable: as with :meth:`schedule`.
        """
        as_flag(replace, "replace")
        if not as_flag(atomic, "atomic"):
            return await self._store_each(messages, replace, within)
        group = all_or_none(messages, self._max_payload)
        if group:
            await self._store_group(group, replace, within)
        return [message.id for message in group]

    async def _store_group(self, messages: Sequence[Message], replace: bool, within: Any) -> None:
        (outcome,) = await self._store([Group(messages, replace)], within)
        if outcome is not None:
            raise outcome
        self._stored(messages)

    async def _store_each(
        self, messages: Iterable[Message], replace: bool, within: Any
    ) -> list[str]:
        stored: list[str] = []
        first: Exception | None = None
        try:
            for chunk, refused in chunks(messages, self._max_payload):
                groups = [Group([message], replace) for message in chunk]
                outcomes = await self._store(groups, within) if groups else []
                done = [
                    each for each, outcome in zip(chunk, outcomes, strict=True) if outcome is None
                ]
                self._stored(done)
                stored += [message.id for message in done]
                first = first or refused or next(filter(None, outcomes), None)
        except Exception as error:
            if not stored and not isinstance(error, StoreError):
                raise
            first = first or error
        if first is not None:
            text = f"{len(stored)} messages are stored, others are not: {first}"
            raise PartlyScheduled(text, stored) from first
        return stored

    async def _store(self, groups: Sequence[Group], within: Any) -> Sequence[Exception | None]:
        if not self._telemetry.active:
            return await self._send(groups, within)
        with self._telemetry.scheduling(groups) as scheduling:
            outcomes = await self._send(scheduling.groups, within)
            scheduling.stored(outcomes)
        return outcomes

    async def _send(self, groups: Sequence[Group], within: Any) -> Sequence[Exception | None]:
        if within is None:
            return await self._intake.put(groups)
        return await self._calls.put(groups, within=self._within(within))

    async def _put(self, groups: Sequence[Group]) -> Sequence[Exception | None]:
        return await self._calls.put(groups)

    def _stored(self, messages: Sequence[Message]) -> None:
        if messages:
            self._plugins.tell("duly_scheduled", messages=messages)
