"""What may be asked of a history. All is bounded: what was looked at, and whether that was all."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, ParamSpec, TypeVar

from duly import InvalidArgument
from duly_history import queries
from duly_history.buckets import BOUNDS, percentile
from duly_history.causes import causes_of, fits
from duly_history.database import Database
from duly_history.migrations import see_that_it_is_ready
from duly_history.queries import Asked, moment
from duly_history.tables import MINUTE_COLUMNS
from duly_history.values import (
    Causes,
    Changes,
    Entries,
    EventFigures,
    Lateness,
    Minute,
    Rates,
    What,
)

__all__ = ["Reading"]

P = ParamSpec("P")
T = TypeVar("T")

_HOUR = timedelta(hours=1)
_FAILED = (What.FAILED, What.BURIED)


class Reading:
    """The questions. They only read, and make no file and no tables.

    Raises, each of its methods:
        HistoryUnavailable: the database cannot be reached.
        HistoryError: nothing has been kept there yet, or it cannot be read.
        InvalidArgument: a bound that is no number from 1.
    """

    _database: Database
    _clock: Callable[[], datetime]

    async def of(self, message_id: str, *, limit: int = 1000) -> Entries:
        """What became of a message, the oldest first, and what is not known since then."""
        asked = Asked(message_id=message_id)
        found = await self._ask(queries.entries, asked, _bound(limit) + 1, oldest_first=True)
        since = found[0].at if found else None
        return Entries(
            entries=found[:limit],
            looked_at=min(len(found), limit),
            complete=len(found) <= limit,
            holes=await self._holes(since, None),
        )

    async def search(
        self,
        *,
        event: str | None = None,
        what: What | Sequence[What] = (),
        message_id: str | None = None,
        id_prefix: str | None = None,
        error: str | None = None,
        error_class: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 100,
        look_at: int = 10_000,
    ) -> Entries:
        """What happened, the latest first: all that is given has to hold.

        ``event`` may be a prefix that ends in ``.*``. ``error`` is a pattern as of
        :class:`duly.Filter`, looked for in the latest ``look_at`` entries that match the rest.
        ``until`` with the moment of the last entry goes on from there.
        """
        kinds = (what,) if isinstance(what, What) else tuple(What(each) for each in what)
        asked = Asked(
            message_id=message_id,
            id_prefix=id_prefix,
            event=event,
            what=kinds or (() if error is None else _FAILED),
            error_class=error_class,
            since=since,
            until=until,
        )
        most = _bound(limit) if error is None else max(_bound(limit), _bound(look_at))
        found = await self._ask(queries.entries, asked, most + 1)
        looked_at = found[:most]
        matching = [each for each in looked_at if error is None or fits(each.error, error)]
        return Entries(
            entries=matching[:limit],
            looked_at=len(looked_at),
            complete=len(found) <= most and len(matching) <= limit,
            holes=await self._holes(since, until),
        )

    async def rates(
        self,
        event: str | None = None,
        since: datetime | timedelta = _HOUR,
        *,
        until: datetime | None = None,
        look_at: int = 10_000,
    ) -> Rates:
        """How much was delivered, failed and was buried, by the minute.

        ``since`` is a moment, or so long ago; the minute that it lies in counts whole. Of more than
        ``look_at`` minutes the latest are told.
        """
        start, end = self._span(since, until)
        counted = MINUTE_COLUMNS[2:5]
        most = _bound(look_at)
        rows = await self._ask(
            queries.minutes, event, start, end, columns=counted, by="minute", limit=most + 1
        )
        told = [
            Minute(at=moment(at), delivered=delivered, failed=failed, buried=buried)
            for at, delivered, failed, buried in reversed(rows[:most])
        ]
        return Rates(
            since=start,
            until=end,
            minutes=told,
            delivered=sum(each.delivered for each in told),
            failed=sum(each.failed for each in told),
            buried=sum(each.buried for each in told),
            looked_at=len(told),
            complete=len(rows) <= most,
            holes=await self._holes(start, end),
        )

    async def lateness(
        self,
        event: str | None = None,
        since: datetime | timedelta = _HOUR,
        *,
        until: datetime | None = None,
        look_at: int = 10_000,
    ) -> Lateness:
        """How late deliveries were; arguments as of :meth:`rates`."""
        start, end = self._span(since, until)
        most = _bound(look_at)
        counted = MINUTE_COLUMNS[5:]
        rows = await self._ask(
            queries.minutes, event, start, end, columns=counted, by="minute", limit=most + 1
        )
        sums = [sum(row[number + 1] for row in rows[:most]) for number in range(len(BOUNDS))]
        return Lateness(
            count=sum(sums),
            p50=percentile(sums, 0.5),
            p99=percentile(sums, 0.99),
            buckets=dict(zip(BOUNDS, sums, strict=True)),
            looked_at=min(len(rows), most),
            complete=len(rows) <= most,
            holes=await self._holes(start, end),
        )

    async def events(
        self, since: datetime | timedelta = _HOUR, *, limit: int = 1000
    ) -> Sequence[EventFigures]:
        """What happened under each event name, in the order of names; at most ``limit`` of them."""
        start, end = self._span(since, None)
        counted = MINUTE_COLUMNS[2:]
        rows = await self._ask(
            queries.minutes, None, start, end, columns=counted, by="event_name", limit=_bound(limit)
        )
        minutes = max((end - start).total_seconds() / 60, 1.0)
        return [
            EventFigures(
                event_name=name,
                delivered=delivered,
                failed=failed,
                buried=buried,
                per_minute=delivered / minutes,
                p50=percentile(late, 0.5),
                p99=percentile(late, 0.99),
            )
            for name, delivered, failed, buried, *late in rows
        ]

    async def causes(
        self,
        event: str | None = None,
        since: datetime | timedelta = _HOUR,
        *,
        until: datetime | None = None,
        look_at: int = 10_000,
    ) -> Causes:
        """Why deliveries failed, of the latest ``look_at`` failures and burials."""
        start, end = self._span(since, until)
        asked = Asked(event=event, what=_FAILED, since=start, until=end)
        most = _bound(look_at)
        found = await self._ask(queries.entries, asked, most + 1)
        return Causes(
            causes=causes_of(found[:most]),
            looked_at=len(found[:most]),
            complete=len(found) <= most,
            holes=await self._holes(start, end),
        )

    async def changes(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        action: str | None = None,
        target: str | None = None,
        by: str | None = None,
        limit: int = 100,
    ) -> Changes:
        """What people did, the latest first: all that is given has to hold."""
        words = {"since": since, "until": until, "action": action, "target": target, "by": by}
        found = await self._ask(queries.changes, _bound(limit) + 1, **words)
        return Changes(
            changes=found[:limit],
            looked_at=len(found[:limit]),
            complete=len(found) <= limit,
        )

    async def _holes(self, since: datetime | None, until: datetime | None) -> Any:
        return await self._ask(queries.holes, since, until, self._clock())

    async def _ask(self, query: Callable[..., T], *arguments: Any, **more: Any) -> T:
        def run() -> T:
            see_that_it_is_ready(self._database)
            return query(self._database, *arguments, **more)

        return await asyncio.to_thread(run)

    def _span(
        self, since: datetime | timedelta, until: datetime | None
    ) -> tuple[datetime, datetime]:
        end = self._clock() if until is None else until
        return (end - since if isinstance(since, timedelta) else since), end


def _bound(value: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidArgument(f"a bound is a whole number from 1, not {value!r}")
    return value
