"""What a caller may look at: messages, numbers, health."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import attrs

from duly._arguments import as_filter, as_flag, as_id
from duly._calls import StoreCalls
from duly._outcomes import error_text
from duly._plugins import Plugins
from duly.errors import MessageNotFound
from duly.health import Health, Report
from duly.message import Filter, Message
from duly.store import Stats, SupportsHealth, SupportsMigration

__all__ = ["ALL", "Lookup", "not_found"]

ALL: Final = Filter()

_PAGE: Final = 500  # messages
_LATE: Final = timedelta(seconds=60)


def not_found(message_id: str) -> MessageNotFound:
    """The error for an id that is unknown."""
    return MessageNotFound(
        f"no message with id {message_id!r}: it was never scheduled, or delivered or cancelled"
    )


class Lookup:
    """The verbs of a client that change nothing."""

    _calls: StoreCalls
    _plugins: Plugins

    async def get(self, message_id: str) -> Message:
        """The message of that id.

        Raises:
            MessageNotFound: the id is unknown: never scheduled, delivered already, or cancelled.
        """
        message = await self._calls(self._calls.store.get, as_id(message_id))
        if message is None:
            raise not_found(message_id)
        return message

    async def list(self, filter: Filter = ALL) -> Sequence[Message]:
        """The messages that match, by ``(scheduled_at, id)``."""
        return await self._calls(self._calls.store.list, as_filter(filter))

    async def iterate(self, filter: Filter = ALL) -> AsyncIterator[Message]:
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
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
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
