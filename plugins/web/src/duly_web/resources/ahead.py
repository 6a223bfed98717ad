"""What is to come: fires in order, or how much of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

from duly import Control, Expected, Filter, Message, Unsupported
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.filters import ManyQuery, filter_of
from duly_web.problems import Problem
from duly_web.refs import ref_of
from duly_web.times import Moment, as_moment, maybe, written
from duly_web.users import fits

__all__ = ["ENDPOINTS"]

_HOUR: Final = timedelta(hours=1)


class UpcomingQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}
):
    """Which fires: by default those of the next hour."""

    since: Moment | None = None
    until: Moment | None = None
    event_name: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class HeldDocument(msgspec.Struct, frozen=True):
    """The pause that will hold a fire: of the name or prefix ``rule``, ``until`` None for ever."""

    rule: str
    ref: str
    until: Moment | None
    reason: str
    by: str


class FireDocument(msgspec.Struct, frozen=True):
    """A fire to come: ``kind`` is "once", "retry" or "series"; ``held_by`` what pauses it then."""

    at: Moment
    kind: str
    id: str
    ref: str
    event_name: str
    held_by: HeldDocument | None


class Upcoming(msgspec.Struct, frozen=True):
    """The fires, in order. Unless ``complete`` there are more."""

    items: list[FireDocument]
    complete: bool


class ForecastQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Until when, in how many spans: an hour, in 60."""

    until: Moment | None = None
    buckets: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 60


class ExpectedDocument(msgspec.Struct, frozen=True):
    """How much is due in a span."""

    once: int
    series: int
    retries: int
    aside: int
    at_least: bool


class ForecastDocument(msgspec.Struct, frozen=True):
    """What is due, in equal spans."""

    start: Moment
    until: Moment
    span_seconds: float
    overdue: ExpectedDocument
    buckets: list[ExpectedDocument]
    looked_at: int
    complete: bool


async def upcoming(call: Call) -> Answer:
    """What will fire."""
    said: UpcomingQuery = call.query
    now = datetime.now(UTC)
    since = now if said.since is None else as_moment(said.since, "/from")
    until = _ahead(since, _HOUR) if said.until is None else as_moment(said.until, "/until")
    if until < since:
        what = "from" if said.since is not None else "now, from which it counts"
        raise Problem(422, "InvalidArgument", f"until is before {what}", pointer="/until")
    filter = narrowed(call, said.event_name)
    found = await call.client.upcoming(until, since=since, filter=filter, limit=said.limit)
    rules = await _rules(call)
    items = [
        FireDocument(
            written(each.at),
            _kind(each.message),
            each.message.id,
            ref_of(each.message.id),
            each.message.event_name,
            _held(rules, each.message.event_name, each.at),
        )
        for each in found
    ]
    return Answer(document=Upcoming(items, len(found) < said.limit))


async def _rules(call: Call) -> Mapping[str, Control]:
    try:
        return await call.client.controls()
    except Unsupported:
        return {}


def _held(rules: Mapping[str, Control], name: str, at: datetime) -> HeldDocument | None:
    """The pause that holds an event name at a moment; of several the one that does so longest."""
    found = [
        (rule, each.pause)
        for rule, each in sorted(rules.items())
        if each.pause is not None and fits(rule, name)
        if each.pause.until is None or each.pause.until > at
    ]
    if not found:
        return None
    rule, pause = max(found, key=lambda each: (each[1].until is None, each[1].until or at))
    return HeldDocument(rule, ref_of(rule), maybe(pause.until), pause.reason, pause.by)


def narrowed(call: Call, name: str | None) -> Filter:
    """A filter for an event name, of those that the user may see."""
    return filter_of(ManyQuery(event_name=name), {}, call.user, redacted=False)


def _ahead(moment: datetime, length: timedelta) -> datetime:
    try:
        return moment + length
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def _kind(message: Message) -> str:
    if message.recurrence is not None:
        return "series"
    return "retry" if message.retry_count else "once"


async def forecast(call: Call) -> Answer:
    """How much is to come."""
    call.everywhere()
    said: ForecastQuery = call.query
    until = _ahead(datetime.now(UTC), _HOUR)
    if said.until is not None:
        until = as_moment(said.until, "/until")
    if until <= datetime.now(UTC):
        raise Problem(422, "InvalidArgument", "until must be later than now", pointer="/until")
    found = await call.client.forecast(until, buckets=said.buckets)
    return Answer(
        document=ForecastDocument(
            written(found.start), written(found.until), found.span.total_seconds(),
            _expected(found.overdue), [_expected(each) for each in found.buckets],
            found.looked_at, found.complete,
        )
    )  # fmt: skip


def _expected(each: Expected) -> ExpectedDocument:
    return ExpectedDocument(each.once, each.series, each.retries, each.aside, each.at_least)


ENDPOINTS: Final = (
    Endpoint(
        method="GET", path="/upcoming", right="read", handler=upcoming, query=UpcomingQuery,
        tag="standing", summary="What will fire, in order", answers={200: Upcoming},
    ),
    Endpoint(
        method="GET", path="/forecast", right="read", handler=forecast, query=ForecastQuery,
        tag="standing", summary="How much is to come", answers={200: ForecastDocument},
    ),
)  # fmt: skip
