"""How things stand, and what is to come."""

import functools
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec

from duly import Expected, Filter, Message, NameStats, Standing, Stats
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.filters import ManyQuery, filter_of
from duly_web.problems import Problem
from duly_web.refs import ref_of
from duly_web.tags import tag_of
from duly_web.times import Moment, as_moment, maybe, written

__all__ = ["ENDPOINTS", "all_names"]

_PAGES: Final = 10
_HOUR: Final = timedelta(hours=1)
_WORST: Final = 503


class FindingDocument(msgspec.Struct, frozen=True):
    """One thing that is not as it should be; ``act`` is the verb that helps, on ``about``."""

    code: str
    text: str
    act: str | None
    about: str | None


class StatsDocument(msgspec.Struct, frozen=True):
    """How much there is."""

    scheduled: int
    claimed: int
    dead: int
    aside: int
    oldest_due: Moment | None
    next_due: Moment | None


class OverviewDocument(msgspec.Struct, frozen=True):
    """How things stand: the sentence, and all findings, the gravest first."""

    code: str
    sentence: str
    findings: list[FindingDocument]
    late: int
    stats: StatsDocument | None
    as_of: Moment


class EventDocument(msgspec.Struct, frozen=True):
    """How much there is of an event name; with ``at_least`` not all were counted."""

    event_name: str
    scheduled: int
    due: int
    aside: int
    claimed: int
    dead: int
    oldest: Moment | None
    at_least: bool
    delivered_per_minute: float | None = None
    """Of the last hour, where a history is kept; as the next one."""
    late_p99_seconds: float | None = None


class Events(msgspec.Struct, frozen=True):
    """The event names, in order."""

    items: list[EventDocument]
    complete: bool


class UpcomingQuery(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}
):
    """Which fires: by default those of the next hour."""

    since: Moment | None = None
    until: Moment | None = None
    event_name: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class FireDocument(msgspec.Struct, frozen=True):
    """A fire to come: ``kind`` is "once", "retry" or "series"."""

    at: Moment
    kind: str
    id: str
    ref: str
    event_name: str


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


class HealthDocument(msgspec.Struct, frozen=True):
    """In a word, "healthy", "degraded" or "unhealthy", and in one sentence."""

    status: str
    reason: str
    reasons: list[str]


async def overview(call: Call) -> Answer:
    """The sentence, and the figures."""
    call.everywhere()
    if call.service.redact is not None:
        call.may("payload")  # a sentence may hold the text of an error
    found: Standing = await call.service.shared.get("overview", call.client.standing)
    findings = [FindingDocument(e.code, e.text, e.act, e.about) for e in found.findings]
    document = OverviewDocument(
        code=found.code,
        sentence=found.sentence,
        findings=findings,
        late=found.late,
        stats=None if found.stats is None else _stats(found.stats),
        as_of=written(found.as_of),
    )
    return Answer(document=document, tag=tag_of(document.as_of, document.sentence))


def _stats(stats: Stats) -> StatsDocument:
    return StatsDocument(
        scheduled=stats.scheduled,
        claimed=stats.claimed,
        dead=stats.dead,
        aside=stats.aside,
        oldest_due=maybe(stats.oldest_due),
        next_due=maybe(stats.next_due),
    )


async def events(call: Call) -> Answer:
    """The event names."""
    names, complete = await all_names(call)
    keeper = call.service.history
    rates: dict[str, tuple[float, float | None]] = {}
    if keeper is not None:
        kept = await call.service.shared.get("rates", keeper.events)
        rates = {each.event_name: (each.per_minute, each.p99) for each in kept}
    items = [
        EventDocument(
            each.name, each.scheduled, each.due, each.aside, each.claimed, each.dead,
            maybe(each.oldest), each.at_least, *rates.get(each.name, (None, None)),
        )
        for each in names
        if call.user.sees(each.name)
    ]  # fmt: skip
    return Answer(document=Events(items, complete))


async def all_names(call: Call) -> tuple[list[NameStats], bool]:
    """The event names, up to 10,000, and whether these are all."""
    found: tuple[list[NameStats], bool] = await call.service.shared.get(
        "names", functools.partial(_names, call)
    )
    return found


async def _names(call: Call) -> tuple[list[NameStats], bool]:
    names: list[NameStats] = []
    for _ in range(_PAGES):
        page = await call.client.names(after=names[-1].name if names else None)
        if not page:
            return names, True
        names += page
    return names, False


async def upcoming(call: Call) -> Answer:
    """What will fire."""
    said: UpcomingQuery = call.query
    now = datetime.now(UTC)
    since = now if said.since is None else as_moment(said.since, "/from")
    until = _ahead(since, _HOUR) if said.until is None else as_moment(said.until, "/until")
    filter = narrowed(call, said.event_name)
    found = await call.client.upcoming(until, since=since, filter=filter, limit=said.limit)
    items = [
        FireDocument(
            written(each.at),
            _kind(each.message),
            each.message.id,
            ref_of(each.message.id),
            each.message.event_name,
        )
        for each in found
    ]
    return Answer(document=Upcoming(items, len(found) < said.limit))


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


async def health(call: Call) -> Answer:
    """Whether all is well."""
    found = await call.client.health()
    document = HealthDocument(found.status.value, found.reason, [str(e) for e in found.reasons])
    return Answer(document=document, status=_WORST if document.status == "unhealthy" else 200)


def _endpoint(path: str, handler: Any, summary: str, document: Any, **more: Any) -> Endpoint:
    return Endpoint(
        method="GET", path=path, right="read", handler=handler, summary=summary,
        answers={200: document}, tag="standing", **more,
    )  # fmt: skip


ENDPOINTS: Final = (
    _endpoint("/overview", overview, "How things stand, in one sentence", OverviewDocument),
    _endpoint("/events", events, "How much there is of each event name", Events),
    _endpoint("/upcoming", upcoming, "What will fire, in order", Upcoming, query=UpcomingQuery),
    _endpoint(
        "/forecast", forecast, "How much is to come", ForecastDocument, query=ForecastQuery
    ),
    Endpoint(
        method="GET", path="/health", right="read", handler=health, tag="standing",
        summary="Whether all is well", answers={200: HealthDocument, 503: HealthDocument},
    ),
)  # fmt: skip
