"""The front door of those who only schedule: the verbs of a caller."""

import enum
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Final, Self, cast

import attrs
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from duly._arguments import all_or_none, as_filter, as_flag, as_id, as_message, as_number, chunks
from duly._calls import StoreCalls
from duly._intake import Intake
from duly._outcomes import error_text
from duly._plugins import Plugins
from duly._telemetry import Telemetry
from duly.errors import (
    InvalidArgument,
    MessageNotFound,
    PartlyScheduled,
    StoreError,
    Unsupported,
    WrongState,
)
from duly.health import Health, Report
from duly.message import UNREADABLE, Filter, Message, State
from duly.moment import as_duration, as_moment
from duly.store import (
    Group,
    Stats,
    Store,
    SupportsHealth,
    SupportsMigration,
    SupportsTransactions,
)
from duly.url import mask

__all__ = ["Cancellation", "Client"]

_PAGE: Final = 500  # messages of one page or chunk
_LATE: Final = timedelta(seconds=60)
_ALL: Final = Filter()


class Cancellation(enum.Enum):
    """What ``cancel`` did; true in a condition for CANCELLED only.

    CANCELLED: it will not be published. TOO_LATE: a scheduler holds it and may publish it once
    more; it is not retried, does not recur, and its id is free. UNKNOWN: there was no such message.
    """

    CANCELLED = "cancelled"
    TOO_LATE = "too late"
    UNKNOWN = "unknown"

    def __bool__(self) -> bool:
        return self is Cancellation.CANCELLED


class Client:
    """Schedules, cancels and looks up messages in one store.

    ``store`` is a URL, or a store object, which is opened on first use and left open. Payloads
    may have up to ``max_payload`` bytes. A call that the store does not answer within
    ``store_timeout`` raises StoreUnavailable. ``plugins`` are used besides the installed ones,
    of which ``load_plugins`` loads all, none, or those named.

    Raises:
        InvalidArgument: an argument out of bounds or of the wrong type.
        PluginError: a plugin with a misspelt hook, or no plugin for the URL.
    """

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
        self._plugins = Plugins(plugins, load_plugins)
        ours = isinstance(store, str)
        self._calls = StoreCalls(self._as_store(store), timeout, ours=ours)
        name = mask(store) if isinstance(store, str) else type(store).__name__
        self._telemetry = Telemetry(tracer_provider, meter_provider, store=name)
        self._intake = Intake(self._put)

    async def open(self) -> None:
        """Open the store now; the first call does it otherwise.

        Raises:
            StoreUnavailable: it cannot be reached.
            StoreError: it cannot be used; the text says what to do.
        """
        await self._calls.open()

    async def close(self) -> None:
        """Wait for calls under way, then close the store if it was made from a URL."""
        await self._intake.drain()
        await self._calls.close()

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

    # --- schedule

    async def schedule(self, message: Message, *, replace: bool = False, within: Any = None) -> str:
        """Store a message to be published when it is due; its id.

        The same id with the same ``created_at`` as the one stored is a repeat after a lost answer
        and no error, so that calling again with the same object is always safe.

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
        except StoreError as error:
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
        return await self._calls(self._calls.store.put, groups, within=self._within(within))

    async def _put(self, groups: Sequence[Group]) -> Sequence[Exception | None]:
        return await self._calls(self._calls.store.put, groups)

    def _stored(self, messages: Sequence[Message]) -> None:
        if messages:
            self._plugins.tell("duly_scheduled", messages=messages)

    # --- change

    async def cancel(
        self, message_id: str, *, missing_ok: bool = False, within: Any = None
    ) -> Cancellation:
        """Take a message back: CANCELLED means that it will not be published.

        Raises:
            MessageNotFound: the id is unknown, and not ``missing_ok``.
        """
        message_id = as_id(message_id)
        as_flag(missing_ok, "missing_ok")
        (found,) = await self._calls(
            self._calls.store.cancel, [message_id], within=self._within(within)
        )
        if found is None:
            if missing_ok:
                return Cancellation.UNKNOWN
            raise _not_found(message_id)
        if found is State.CLAIMED:
            return Cancellation.TOO_LATE
        self._telemetry.count("cancelled", [None])
        self._plugins.tell("duly_cancelled", message_ids=[message_id])
        return Cancellation.CANCELLED

    async def cancel_many(self, filter: Filter) -> int:
        """Cancel all messages that match; how many were CANCELLED.

        Raises:
            InvalidArgument: an empty filter, or one with a limit or an offset.
        """
        if as_filter(filter) == _ALL:
            raise InvalidArgument("cancel_many with an empty filter would cancel everything")
        removed = await self._remove(filter, "cancel_many")
        if removed:
            self._telemetry.count("cancelled", [name for _, name in removed])
            self._plugins.tell("duly_cancelled", message_ids=[id for id, _ in removed])
        return len(removed)

    async def purge(self, filter: Filter = _ALL) -> int:
        """Remove the dead letters that match, for good; how many there were.

        Raises:
            InvalidArgument: a filter for another state, or with a limit or an offset.
        """
        if as_filter(filter).state not in (None, State.DEAD):
            raise InvalidArgument("purge removes dead letters only: leave the state out")
        return len(await self._remove(attrs.evolve(filter, state=State.DEAD), "purge"))

    async def _remove(self, filter: Filter, verb: str) -> Sequence[tuple[str, str]]:
        """The ids and event names of those removed."""
        if filter.limit is not None or filter.offset:
            raise InvalidArgument(f"{verb} takes no limit and no offset: it removes all that match")
        removed: list[tuple[str, str]] = []
        async for page in self._pages(filter):
            ids = [message.id for message in page]
            states = await self._calls(self._calls.store.cancel, ids, of_state=filter.state)
            wanted = ({State.SCHEDULED, State.DEAD} if filter.state is None else {filter.state}) - {
                State.CLAIMED
            }
            removed += [
                (message.id, message.event_name)
                for message, state in zip(page, states, strict=True)
                if state in wanted
            ]
        return removed

    async def reschedule(
        self, message_id: str, scheduled_at: datetime, *, within: Any = None
    ) -> None:
        """Move a waiting message; of a series it moves the next fire, and ``Every`` counts on.

        Raises:
            MessageNotFound: the id is unknown.
            WrongState: it is claimed or dead.
        """
        message_id, at = as_id(message_id), as_moment(scheduled_at, "scheduled_at")
        await self._move(message_id, at, State.SCHEDULED, self._within(within))

    async def replay(self, message_id: str, *, at: datetime | None = None) -> None:
        """Schedule a dead letter again, counters at 0: due ``at``, or at once.

        Raises:
            MessageNotFound: the id is unknown.
            WrongState: it is no dead letter, or a record that cannot be read.
        """
        message_id = as_id(message_id)
        moment = None if at is None else as_moment(at, "at")
        if (await self.get(message_id)).event_name == UNREADABLE:
            raise WrongState(f"message {message_id!r} cannot be read: it can only be purged")
        await self._move(message_id, moment, State.DEAD, None)

    async def _move(self, id: str, at: datetime | None, of_state: State, within: Any) -> None:
        found = await self._calls(
            self._calls.store.reschedule, id, at, of_state=of_state, within=within
        )
        if found is None:
            raise _not_found(id)
        if found is not of_state:
            raise WrongState(f"message {id!r} is {found.value}, not {of_state.value}")

    # --- look

    async def get(self, message_id: str) -> Message:
        """The message of that id.

        Raises:
            MessageNotFound: the id is unknown: never scheduled, delivered already, or cancelled.
        """
        message = await self._calls(self._calls.store.get, as_id(message_id))
        if message is None:
            raise _not_found(message_id)
        return message

    async def list(self, filter: Filter = _ALL) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        return await self._calls(self._calls.store.list, as_filter(filter))

    async def iterate(self, filter: Filter = _ALL) -> AsyncIterator[Message]:
        """The messages that match, a page at a time, so that any number fits into memory."""
        async for page in self._pages(as_filter(filter)):
            for message in page:
                yield message

    async def _pages(self, filter: Filter) -> AsyncIterator[Sequence[Message]]:
        left, offset, from_key = filter.limit, filter.offset, None
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            wanted = attrs.evolve(filter, limit=size, offset=offset)
            page = await self._calls(self._calls.store.list, wanted, from_key=from_key)
            if page:
                yield page
            if len(page) < size:
                return
            left = None if left is None else left - size
            offset, from_key = 0, (page[-1].scheduled_at, page[-1].id)

    async def stats(self) -> Stats:
        """How many messages the store holds, and when the first of them is due."""
        return await self._calls(self._calls.store.stats)

    async def health(self) -> Health:
        """Whether all is well; never raises for the store's trouble, it tells of it."""
        report = Report()
        await self._examine(report)
        return report.health()

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """Bring the store's schema up to date; the statements that were, or would be, run.

        Takes as long as it takes: ``store_timeout`` does not apply.
        """
        as_flag(dry_run, "dry_run")
        store = self._calls.store
        return await store.migrate(dry_run=dry_run) if isinstance(store, SupportsMigration) else []

    async def _examine(self, report: Report) -> None:
        for name, reason in self._plugins.broken.items():
            report.odd(f"plugin {name} is broken: {reason}")
        store = self._calls.store
        try:
            stats = await self.stats()
            checked = await self._calls(store.check) if isinstance(store, SupportsHealth) else ()
        except StoreError as error:
            report.ill(f"the store is unreachable: {error_text(error)}")
            return
        report.details |= attrs.asdict(stats)
        for reason in checked:
            report.odd(reason)
        if stats.oldest_due is not None and self._now() - stats.oldest_due > _LATE:
            late = (self._now() - stats.oldest_due).total_seconds()
            report.odd(f"the oldest due message is {late:.0f} s late")

    def _now(self) -> datetime:
        """The store's time as well as we know it."""
        return datetime.now(UTC)

    # --- helpers

    def _within(self, within: object) -> Any:
        """The caller's transaction, if the store can act in it."""
        store = self._calls.store
        if within is None:
            return None
        if not isinstance(store, SupportsTransactions):
            raise Unsupported(f"{type(store).__name__} cannot act within a caller's transaction")
        if not store.accepts(within):
            raise InvalidArgument(
                f"{type(store).__name__} cannot act within a {type(within).__name__}"
            )
        return within

    def _as_store(self, store: object) -> Store:
        if isinstance(store, str):
            return self._plugins.store(store)
        if not all(callable(getattr(store, verb, None)) for verb in ("put", "claim", "settle")):
            raise InvalidArgument(
                f"store must be a URL or a store object, not {type(store).__name__}"
            )
        return cast(Store, store)


def _not_found(message_id: str) -> MessageNotFound:
    return MessageNotFound(
        f"no message with id {message_id!r}: it was never scheduled, or delivered or cancelled"
    )
