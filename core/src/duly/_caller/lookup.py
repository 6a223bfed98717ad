"""What a caller may read: messages, counts, health."""

import functools
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs

from duly._caller.arguments import as_filter, as_flag, as_id
from duly._caller.calls import StoreCalls
from duly._caller.inquiry import Inquiry, Questions, Replies
from duly._caller.walking import Walk, is_simple
from duly._plugins.registry import Plugins
from duly.errors import InvalidArgument, MessageNotFound, Unsupported
from duly.health import Health, Report
from duly.message import Filter, Message
from duly.moment import as_duration
from duly.store import (
    NamesTransactions,
    PartlyUnavailable,
    Stats,
    SupportsHealth,
    SupportsMigration,
    SupportsMovingTime,
    SupportsTransactions,
)

__all__ = ["ALL", "Lookup", "not_found"]

ALL: Final = Filter()

_TOLD: Final = 3  # names in a sentence
_LATE: Final = timedelta(seconds=60)
_IN_TIME: Final = timedelta(seconds=5)
_MILLISECOND: Final = timedelta(milliseconds=1)


def not_found(message_id: str) -> MessageNotFound:
    """The error for an id that is unknown."""
    return MessageNotFound(
        f"no message with id {message_id!r}: it was never scheduled, or delivered or cancelled"
    )


class Lookup:
    """The verbs of a client that change nothing."""

    _calls: StoreCalls
    _inquiry: Inquiry
    _plugins: Plugins

    async def get(self, message_id: str, *, within: Any = None) -> Message:
        """The message of that id; with ``within``, as that transaction sees it.

        Raises:
            MessageNotFound: the id is unknown: never scheduled, delivered already, or cancelled.
            Unsupported: the store has no transactions to look ``within``.
        """
        message_id = as_id(message_id)
        message = await self._calls.get(message_id, self._within(within))
        if message is None:
            raise not_found(message_id)
        return message

    async def list(
        self, filter: Filter = ALL, *, payload: bool = True, within: Any = None
    ) -> Sequence[Message]:
        """A list of the messages that match, ordered by ``(scheduled_at, id)``.

        With ``payload=False`` the payloads stay in the store, where it can leave them there. Such
        a message raises InvalidMessage when its payload is read, so that it can be neither compared
        nor scheduled; :meth:`get` brings the whole one. ``within`` as for :meth:`get`.
        """
        filter, payload = as_filter(filter), as_flag(payload, "payload")
        within = self._within(within)
        if is_simple(filter):
            return await self._calls.list(filter, payload=payload, within=within)
        walk = self._walk(filter, payload=payload, within=within)
        return [message async for page in walk.pages() for message in page]

    async def iterate(
        self, filter: Filter = ALL, *, payload: bool = True, within: Any = None
    ) -> AsyncIterator[Message]:
        """The messages that match, a page at a time, so that any number fits into memory.

        In an ``order`` all that match are gathered first, or ``offset`` and ``limit`` of them.
        ``payload`` and ``within`` as for :meth:`list`; the transaction is used page by page.
        """
        filter, payload = as_filter(filter), as_flag(payload, "payload")
        walk = self._walk(filter, payload=payload, within=self._within(within))
        async for page in walk.pages():
            for message in page:
                yield message

    def _walk(self, filter: Filter, *, payload: bool, within: Any = None, **more: Any) -> Walk:
        return Walk(self._calls, filter, self._now(), payload=payload, within=within, **more)

    async def stats(self) -> Stats:
        """How many messages the store holds, and when the first of them is due."""
        return await self._calls.stats()

    async def health(self, *, timeout: timedelta = _IN_TIME) -> Health:  # noqa: ASYNC109  # it answers in any case
        """Whether all is well; trouble of the store is reported, never raised.

        It answers within ``timeout``, at least a millisecond, and names what has not answered yet.
        """
        limit = as_duration(timeout, "timeout", at_least=_MILLISECOND)
        report = Report()
        self._examine(report, await self._inquiry.ask(self._questions(), limit.total_seconds()))
        return report.health()

    async def migrate(self, *, dry_run: bool = False) -> Sequence[str]:
        """Bring the store's schema up to date; the statements that were, or would be, run.

        Takes as long as it takes: ``store_timeout`` does not apply.
        """
        as_flag(dry_run, "dry_run")
        store = self._calls.store
        return await store.migrate(dry_run=dry_run) if isinstance(store, SupportsMigration) else []

    def _questions(self) -> Questions:
        """What to ask for :meth:`health`, by name."""
        store = self._calls.store
        questions: Questions = {"stats": self.stats}
        if isinstance(store, SupportsHealth):
            questions["store"] = functools.partial(self._calls, store.check)
        return questions

    def _examine(self, report: Report, replies: Replies) -> None:
        for name, reason in self._plugins.broken.items():
            report.odd(f"plugin {name} is broken: {reason}")
        stats, trouble = replies.of("stats")
        if replies.failed_with("stats", PartlyUnavailable):
            report.odd("a part of the store does not answer, and nothing can be counted")
            replies.tell("store", "the store", report)
            return
        if trouble is not None:
            silent = replies.silent("stats")
            report.ill(f"the store {trouble}" if silent else f"the store is unreachable: {trouble}")
            return
        report.details |= attrs.asdict(stats)
        replies.tell("store", "the store", report)
        if self._examine_delivery(report, replies):
            return  # all else follows from that
        now = self._now()
        first = self._first_due(stats, replies)
        if first is not None and now - first > _LATE:
            late = (now - first).total_seconds()
            report.odd(f"the oldest due message is {late:.0f} s late")
        if stats.oldest_aside is not None and now - stats.oldest_aside > _LATE:
            late = (now - stats.oldest_aside).total_seconds()
            self._examine_aside(report, late, self._held_back(), replies)

    def _examine_delivery(self, report: Report, replies: Replies) -> bool:
        """Report that nobody delivers, as far as that is known; whether it is so."""
        return False

    def _first_due(self, stats: Stats, replies: Replies) -> datetime | None:
        """Since when something waits in line that is due, and that no pause holds."""
        return stats.oldest_due

    def _examine_aside(
        self,
        report: Report,
        late: float,
        names: Sequence[str],
        replies: Replies,  # where there are rules they matter
    ) -> None:
        """Report that messages stand aside, the oldest for so many seconds."""
        told = ", ".join(map(repr, names[:_TOLD]))
        of = f" of {told}{' and others' if len(names) > _TOLD else ''}" if names else ""
        report.odd(f"messages{of} stand aside, the oldest for {late:.0f} s")

    def _held_back(self) -> Sequence[str]:
        """Of which event names messages stand aside, as far as anybody here knows."""
        return []

    def _within(self, within: object) -> Any:
        """The caller's transaction, if the store can act in it."""
        store = self._calls.store
        if within is None:
            return None
        if not isinstance(store, SupportsTransactions):
            raise Unsupported(
                f"{type(store).__name__} cannot act within a caller's transaction: leave within= "
                "out, or take a store that can, as those on PostgreSQL, MongoDB and SQLite; in "
                "tests a duly.testing.FakeStore"
            )
        if not store.accepts(within):
            takes = (
                f": it takes {store.transactions}" if isinstance(store, NamesTransactions) else ""
            )
            raise InvalidArgument(
                f"{type(store).__name__} cannot act within this {type(within).__name__}{takes}"
            )
        return within

    def _now(self) -> datetime:
        """The store's time as well as we know it."""
        return self._here_and_now()

    @functools.cached_property
    def _moving_time(self) -> SupportsMovingTime | None:
        store = self._calls.store
        return store if isinstance(store, SupportsMovingTime) else None

    def _here_and_now(self) -> datetime:
        """What the clock of this process shows: observers are told by it when a caller acted."""
        moving = (
            self._moving_time
        )  # for each call that schedules: to ask what a store can takes long
        return datetime.now(UTC) if moving is None else moving.now
