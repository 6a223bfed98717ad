"""How things stand."""

import functools
from typing import Any, Final

import msgspec

from duly import NameStats, Standing, Stats
from duly_web.endpoints import Answer, Call, Endpoint
from duly_web.tags import tag_of
from duly_web.times import Moment, maybe, written

__all__ = ["ENDPOINTS", "all_names"]

_PAGES: Final = 10
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
    Endpoint(
        method="GET", path="/health", right="read", handler=health, tag="standing",
        summary="Whether all is well", answers={200: HealthDocument, 503: HealthDocument},
    ),
)  # fmt: skip
