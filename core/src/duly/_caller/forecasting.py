"""What a caller may learn of what is to come, in numbers: when, and of which names."""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

from duly._caller import ability_answers as answers
from duly._caller.arguments import as_number
from duly._caller.expanding import Expansion
from duly._caller.series import SeriesLookup
from duly._values.plain import encodable, shown, text_of
from duly._values.spoken import exact
from duly.errors import InvalidArgument, Unsupported
from duly.message import Filter, State
from duly.moment import as_moment
from duly.store import DueCounts, NameStats, Recurring, SupportsForecast, SupportsNames

__all__ = ["Expected", "Forecast", "Forecasting"]

_MOST_BUCKETS: Final = 1000
_MOST_NAMES: Final = 1000
_COUNTED: Final = 10_000  # messages of a name, or of a bucket
_COUNTED_IN_ALL: Final = 1_000_000  # messages of all buckets
_LOOKED_AT: Final = 10_000  # messages, and as many series


@attrs.frozen(kw_only=True)
class Expected:
    """How much is due in a span of time.

    ``once``: messages that wait for their only delivery. ``series``: fires of what recurs, a fire
    that is retried included. ``retries``: messages tried before that do not recur. ``aside``: those
    that stand in sidings, because their name is paused, limited or slow. ``at_least``: there may be
    more, as not all were counted.
    """

    once: int = 0
    series: int = 0
    retries: int = 0
    aside: int = 0
    at_least: bool = False

    @property
    def total(self) -> int:
        """All of them."""
        return self.once + self.series + self.retries + self.aside


@attrs.frozen(kw_only=True)
class Forecast:
    """What is due from ``start`` to ``until``, in buckets of one ``span`` each, in order.

    A bucket is all that is due behind its beginning and up to its end. What is due at ``start``
    already is ``overdue``, not in the first bucket: it is late, and a backlog would dwarf what is
    to come. What stands aside is due, so it is there. ``looked_at`` messages and series were looked
    at one by one. Unless ``complete`` there were more, or a bucket says ``at_least``: retries that
    were not looked at count as ``once``, and of series that were not the next fires do.
    """

    start: datetime
    until: datetime
    span: timedelta
    overdue: Expected
    buckets: Sequence[Expected]
    looked_at: int
    complete: bool


class Forecasting(SeriesLookup):
    """The verbs of a client that count what is to come, and by name."""

    async def forecast(self, until: datetime, *, buckets: int = 60) -> Forecast:
        """How much is due in each of so many equal spans from now until then.

        By what is stored now, as if each were delivered at once: each fire of a series counts, by
        what its rule says, and none is stored for it. What is in somebody's hands counts no more,
        but for the fires that follow. However much there is, what is counted is bounded, and the
        answer says so: at most 10,000 a bucket, 1,000,000 in all, and 10,000 fires that have to be
        found one by one, of cron expressions and with jitter. A store that cannot count by an index
        is looked through, for at most 10,000 messages.

        Raises:
            InvalidArgument: ``until`` is not later than now, or ``buckets`` not from 1 to 1,000.
        """
        until = as_moment(until, "until")
        buckets = as_number(buckets, "buckets", at_least=1, at_most=_MOST_BUCKETS)
        now = self._now()
        if until <= now:
            raise InvalidArgument(f"until must be later than now, {exact(now)}, not {exact(until)}")
        bounds = [now + (until - now) * each // buckets for each in range(buckets + 1)]
        most = min(_COUNTED, _COUNTED_IN_ALL // buckets)
        counts, ends = await self._due_counts(bounds, most)
        expansion = Expansion(bounds)
        for series in counts.series:
            await expansion.add(series)
        if expansion.ends is not None:
            ends = expansion.ends if ends is None else min(ends, expansion.ends)
        overdue, *rest = _expected(counts, expansion.counts, bounds, most, ends)
        return Forecast(
            start=now,
            until=until,
            span=(until - now) / buckets,
            overdue=overdue,
            buckets=rest,
            looked_at=counts.looked_at + len(counts.series),
            complete=counts.complete and not any(each.at_least for each in (overdue, *rest)),
        )

    async def names(self, *, after: str | None = None, limit: int = 1000) -> Sequence[NameStats]:
        """How much there is of each event name, in their order by code point.

        The names behind ``after``, at most ``limit`` (1 to 1,000) of them. Where there is much of
        them it may be fewer: go on behind the last, until none are left. A name that says
        ``at_least`` was not counted to its end, at 10,000 as a rule.

        Raises:
            InvalidArgument: an argument out of bounds or of the wrong type.
            Unsupported: the store cannot find its names.
        """
        limit = as_number(limit, "limit", at_least=1, at_most=_MOST_NAMES)
        name = None if after is None else _as_name(after)
        store = self._calls.store
        if not isinstance(store, SupportsNames):
            raise Unsupported(f"{type(store).__name__} has no index by which to find event names")
        found = await self._calls(store.names, after=name, limit=limit, most=_COUNTED)
        return answers.names(found, name)

    async def _due_counts(
        self, bounds: Sequence[datetime], most: int
    ) -> tuple[DueCounts, datetime | None]:
        """What waits, and from when on there may be more; None: that is all."""
        store = self._calls.store
        if not isinstance(store, SupportsForecast):
            return await self._looked_through(bounds)
        counts = await self._calls(store.due_counts, bounds, most=most, look_at=_LOOKED_AT)
        return answers.due_counts(counts, len(bounds)), None

    async def _looked_through(
        self, bounds: Sequence[datetime]
    ) -> tuple[DueCounts, datetime | None]:
        """The same of a store that has no index for it."""
        in_line, retries = [0] * len(bounds), [0] * len(bounds)
        series: list[Recurring] = []
        walk = self._walk(Filter(before=bounds[-1]), payload=False, look_at=_LOOKED_AT)
        last = bounds[0]
        async for page in walk.pages():
            for message in page:
                last = message.scheduled_at
                waits = message.state is State.SCHEDULED
                if message.recurrence is not None and message.state is not State.DEAD:
                    due_at = message.next_attempt_at if waits else None
                    series.append(Recurring(message=message, due_at=due_at))
                span = bisect_left(bounds, message.next_attempt_at)
                if waits and span < len(bounds):
                    in_line[span] += 1
                    retries[span] += message.recurrence is None and message.retry_count > 0
        counts = DueCounts(
            in_line=in_line,
            retries=retries,
            aside=0,
            series=series,
            looked_at=walk.looked_at - len(series),
            complete=walk.complete,
        )
        return counts, None if walk.complete else last


def _expected(
    counts: DueCounts,
    fires: Sequence[int],
    bounds: Sequence[datetime],
    most: int,
    ends: datetime | None,
) -> Sequence[Expected]:
    """For each span what is due; from ``ends`` on there may be more."""
    ordinary = [min(each, most) for each in counts.in_line]
    for series in counts.series:  # counted among them once, and fire by fire besides
        if series.due_at is not None and not series.aside:
            span = bisect_left(bounds, series.due_at)
            if span < len(ordinary):
                ordinary[span] -= 1
    return [
        Expected(
            once=max(0, number - retries),
            series=fires[span],
            retries=retries,
            aside=0 if span else min(counts.aside, most),
            at_least=counts.in_line[span] > most
            or (not span and counts.aside > most)
            or (ends is not None and bounds[span] >= ends),
        )
        for span, (number, retries) in enumerate(zip(ordinary, counts.retries, strict=True))
    ]


def _as_name(value: object) -> str:
    name = text_of(value)
    if name is None or not encodable(name):
        raise InvalidArgument(f"after must be an event name, not {shown(value)}")
    return name
