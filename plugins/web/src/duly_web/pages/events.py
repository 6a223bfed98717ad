"""Event names, and what people say of them: pause, resume, limit."""

import math
import shlex
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from duly import NameStats, Unsupported
from duly_web.pages.same import Same
from duly_web.pages.snapshot import Snapshot, name_before
from duly_web.pages.states import EventRow, row_of, rows_of
from duly_web.pages.visit import Done, Shown, Visit
from duly_web.pages.words import local
from duly_web.problems import Problem

__all__ = ["act", "events"]

_LIMIT: Final = 100
_MOST: Final = 1_000_000.0


async def events(visit: Visit) -> Shown:
    """A page of event names, and all rules."""
    after, prefix = visit.query.get("after"), visit.query.get("prefix", "").removesuffix("*")
    late = bool(visit.query.get("late"))
    snapshot = await visit.snapshot()
    facts: dict[str, Any] = {
        "nav": "events", "title": "Events", "rows": [], "following": None, "prefix": prefix,
        "rules": [], "late": late, "unknown": "", "same": _same(prefix, late=late),
    }  # fmt: skip
    try:
        found = await visit.site.recent.get(
            f"names:{after}:{prefix}", lambda: _names(visit, after, prefix)
        )
    except Unsupported as error:
        return Shown("events.html", {**facts, "unknown": str(error)})
    if late:
        facts["rows"] = [each for each in _late(visit, snapshot) if each.name.startswith(prefix)]
    else:
        seen = [each for each in found if visit.user.sees(each.name)]
        facts["rows"] = [row_of(snapshot, each) for each in seen[:_LIMIT]]
        if len(found) > _LIMIT:
            facts["following"] = found[_LIMIT - 1].name
    facts["rules"] = [
        (rule, control)
        for rule, control in sorted(snapshot.standing.controls.items())
        if visit.user.sees(rule)
    ]
    return Shown("events.html", facts)


def _late(visit: Visit, snapshot: Snapshot) -> Sequence[EventRow]:
    """Those of which messages are late: the same figures as on the overview."""
    return [each for each in rows_of(snapshot) if each.late and visit.user.sees(each.name)]


def _same(prefix: str, *, late: bool) -> Same:
    words = ["duly", "events", *(["--prefix", prefix] if prefix else [])]
    command = shlex.join([*words, *(["--late"] if late else [])])
    return Same(command, "" if prefix or late else "v1/events")  # which takes no filter


async def _names(visit: Visit, after: str | None, prefix: str) -> Sequence[NameStats]:
    """Some from there on, that begin so."""
    start = after
    if prefix and (after is None or after < prefix):
        start = name_before(prefix)
    found: list[NameStats] = []
    while len(found) <= _LIMIT:
        page = await visit.client.names(after=start, limit=_LIMIT + 1)
        if not page:
            break
        found += [each for each in page if each.name.startswith(prefix)]
        start = page[-1].name
        if not start.startswith(prefix) and start > prefix:
            break
    return found


async def act(visit: Visit) -> Done:
    """Pause, resume, limit or unlimit an event name, or all that begin alike."""
    rule, action, reason = visit.said("rule"), visit.said("action"), visit.said("reason")
    if not rule:
        raise Problem(422, "InvalidArgument", "say which event, or a prefix such as orders.*")
    if not visit.user.sees(rule):
        raise Problem(
            403, "Forbidden", f"{rule!r} is about more than the events of {visit.user.name}"
        )
    client = visit.client
    if action == "pause":
        await client.pause(rule, until=_until(visit), reason=reason)
    elif action == "resume":
        await client.resume(rule, reason=reason)
    elif action == "limit":
        rate, slots = _number(visit, "rate"), _number(visit, "in_flight")
        if rate is None and slots is None:
            raise Problem(422, "InvalidArgument", "say how many a second, or how many at once")
        await client.limit(
            rule, rate=rate, in_flight=None if slots is None else int(slots), reason=reason
        )
    elif action == "unlimit":
        await client.limit(rule, reason=reason)
    else:
        raise Problem(422, "InvalidArgument", "say what to do: pause, resume, limit or unlimit")
    words = {"pause": "paused", "resume": "resumed", "limit": "limited", "unlimit": "unlimited"}
    return Done(f"events?done={words[action]}")


def _until(visit: Visit) -> datetime | None:
    said = visit.said("until")
    return local(said, visit.zone, "/until") if said else None


def _number(visit: Visit, name: str) -> float | None:
    said = visit.said(name)
    if not said:
        return None
    try:
        value = float(said)
    except ValueError:
        value = math.nan
    if value == 0:
        raise _wrong(name, "a limit of 0 would let nothing go: to hold it all back, pause it")
    if name == "rate" and not 0 < value <= _MOST:
        raise _wrong(name, f"{said!r} a second is no rate: give a number above 0, as 20 or 0.5")
    if name == "in_flight" and not (0 < value <= _MOST and value == int(value)):
        raise _wrong(name, f"{said!r} at once is no limit: give a whole number from 1 on")
    return value


def _wrong(name: str, detail: str) -> Problem:
    return Problem(422, "InvalidArgument", f"{detail}. Nothing was changed.", pointer=f"/{name}")
