"""What fires, in order: each fire of a series one by one, with what will hold it back."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs

from duly import Filter, Phase, Upcoming
from duly_web.pages.same import Same, same
from duly_web.pages.snapshot import Snapshot
from duly_web.pages.visit import Shown, Visit
from duly_web.pages.words import local
from duly_web.problems import Problem
from duly_web.resources.ahead import narrowed

__all__ = ["ahead"]

_LIMIT: Final = 200
_OPTIONS: Final = {"from": "--from", "until": "--until", "event_name": "--event"}
_LOOKED_AT: Final = 2000  # messages
_MOMENT: Final = timedelta(seconds=1)
_HOUR: Final = timedelta(hours=1)
_MOST: Final = timedelta(days=366)


@attrs.frozen(kw_only=True)
class Fire:
    """A fire to come; ``held`` is the rule that will hold it, ``change`` tells of the clocks."""

    at: datetime
    kind: str
    id: str
    event_name: str
    held: str
    change: str


async def ahead(visit: Visit) -> Shown:
    """The fires from one moment to another."""
    said = visit.query
    facts: dict[str, Any] = {
        "nav": "ahead", "title": "Ahead", "said": said, "problem": None, "fires": [],
        "more": None, "presets": _presets(visit), "holding": [],
    }  # fmt: skip
    since = until = visit.now
    try:
        since, until = _span(visit, said)
        name = said.get("event_name")
        if name is None and not visit.user.everywhere and visit.user.events:
            name = visit.user.events[0]
        call = visit.call()
        filter = narrowed(call, name)

        async def read() -> Sequence[Upcoming]:
            return await _fires_of(visit, filter, since, until)

        fixed = "from" in said
        key = f"ahead:{since if fixed else ''}:{until if 'until' in said else ''}:{filter}"
        found = await visit.site.recent.get(key, read)
        snapshot = await visit.snapshot()
        facts["fires"] = fires = _fires(visit, snapshot, found[:_LIMIT], since)
        rules = sorted({each.held for each in fires if each.held})
        facts["holding"] = [(rule, snapshot.standing.controls[rule].pause) for rule in rules]
        facts["same"] = _same(visit, said, since, until)
        if len(found) > _LIMIT:
            facts["more"] = found[_LIMIT].at
    except Problem as problem:
        facts["problem"] = problem
    return Shown("ahead.html", {**facts, "since": since, "until": until})


async def _fires_of(
    visit: Visit, filter: Filter, since: datetime, until: datetime
) -> Sequence[Upcoming]:
    """What is due already, as due now, then what is to come: each by what finds it at once."""
    now, due = visit.now, list[Upcoming]()
    if since <= now:
        found = await visit.client.search(
            attrs.evolve(filter, phase=Phase.DUE, limit=_LIMIT + 1),
            look_at=_LOOKED_AT,
            payload=False,
        )
        due = [Upcoming(now, each) for each in found.messages]
        since = now + _MOMENT
    if since > until or len(due) > _LIMIT:
        return due
    left = _LIMIT + 1 - len(due)
    return [*due, *await visit.client.upcoming(until, since=since, filter=filter, limit=left)]


def _span(visit: Visit, said: Mapping[str, str]) -> tuple[datetime, datetime]:
    since = local(said["from"], visit.zone, "/from") if "from" in said else visit.now
    if "until" in said:
        until = local(said["until"], visit.zone, "/until")
    else:
        until = since + min(_HOUR, datetime.max.replace(tzinfo=UTC) - since)
    if until < since:
        raise Problem(422, "InvalidArgument", "the end comes before the beginning")
    if until - since > _MOST:
        raise Problem(422, "InvalidArgument", "ask for a year at most")
    return since, until


def _presets(visit: Visit) -> list[tuple[str, str, str]]:
    """A few spans that people ask for, in their zone."""
    today = visit.now.astimezone(visit.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    shape = "%Y-%m-%dT%H:%M"
    tomorrow = today + timedelta(days=1)
    night = tomorrow if visit.now.astimezone(visit.zone).hour >= 3 else today
    spans = [
        ("Tonight, 02:00 to 03:00", night.replace(hour=2), night.replace(hour=3)),
        ("Tomorrow", tomorrow, tomorrow + timedelta(days=1)),
    ]
    return [(name, f"{a:{shape}}", f"{b:{shape}}") for name, a, b in spans]


def _fires(
    visit: Visit, snapshot: Snapshot, found: Sequence[Upcoming], since: datetime
) -> list[Fire]:
    last = visit.words.here(since)
    fires = []
    for each in found:
        here = visit.words.here(each.at)
        change = ""
        before, after = last.utcoffset(), here.utcoffset()
        if before is not None and after is not None and before != after:
            way = "forward" if after > before else "back"
            change = (
                f"The clocks of {visit.zone.key} go {way} before this: from {last:%Z} to {here:%Z}"
            )
        last = here
        message = each.message
        kind = "series" if message.recurrence is not None else "once"
        kind = "retry" if kind == "once" and message.retry_count else kind
        fires.append(
            Fire(
                at=each.at, kind=kind, id=message.id, event_name=message.event_name,
                held=_held(snapshot, message.event_name, each.at), change=change,
            )
        )  # fmt: skip
    return fires


def _held(snapshot: Snapshot, name: str, at: datetime) -> str:
    """The rule whose pause will hold it; empty where none will."""
    paused = snapshot.paused(name)
    if paused is None:
        return ""
    rule, control = paused
    end = None if control.pause is None else control.pause.until
    if end is not None and end <= max(at, datetime.now(UTC)):
        return ""
    return rule


def _same(visit: Visit, said: Mapping[str, str], since: datetime, until: datetime) -> Same:
    told: dict[str, str | datetime] = {
        name: at for name, at in (("from", since), ("until", until)) if name in said
    }
    if "event_name" in said:
        told["event_name"] = said["event_name"]
    return same(visit, "upcoming", "v1/upcoming", _OPTIONS, told)
