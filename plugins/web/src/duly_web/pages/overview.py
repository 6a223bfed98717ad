"""How all stands: the sentence, seven figures, the last hour and the next, and what needs you."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

from duly import DulyError, Filter, Finding, Phase, State
from duly_web.pages.picture import picture
from duly_web.pages.resources import resource
from duly_web.pages.same import Same
from duly_web.pages.snapshot import Snapshot
from duly_web.pages.states import EventRow, needing, rows_of, worst
from duly_web.pages.visit import Shown, Visit
from duly_web.problems import Problem

__all__ = ["overview"]

_HIDDEN: Final = {
    "failing": "Messages have failed and are tried again by themselves.",
    "dead": "There are new dead letters.",
}
_TONES: Final = {
    "store_away": "dead", "nobody": "dead", "away": "warn", "late": "warn", "failing": "warn",
    "gone": "warn", "dead": "dead", "paused": "hold", "empty": "ahead", "well": "ok",
}  # fmt: skip
_FINDINGS: Final = 4
_ROWS: Final = 8
_CAUSES: Final = 5


@attrs.frozen
class Told:
    """A finding, as a page shows it."""

    code: str
    text: str
    tone: str
    about: str | None
    which: Mapping[str, str]
    """Finds the messages that it is about; empty where nobody may ask for them, or it says not."""


async def overview(visit: Visit) -> Shown:
    """The page that is looked at first."""
    snapshot = await visit.snapshot()
    rows = [each for each in rows_of(snapshot) if visit.user.sees(each.name)]
    facts: dict[str, Any] = {
        "nav": "", "title": "Overview", "rows": needing(rows, _ROWS), "of": len(rows),
        "causes": await causes_of(visit), "picture": None, "figures": None,
    }  # fmt: skip
    if not visit.user.everywhere:
        late = [each for each in rows if each.late]
        same = Same("duly events", "v1/events")
        return Shown("overview_part.html", {**facts, "late": late, "same": same})
    findings = [told(visit, each) for each in snapshot.standing.findings]
    return Shown(
        "overview.html",
        {
            **facts,
            "findings": findings[:_FINDINGS],
            "figures": _figures(snapshot, rows),
            "worst": worst(rows),
            "same": Same("duly status", "v1/overview"),
            "picture": picture(snapshot, visit.words),
            "all_findings": len(findings),
        },
    )


def told(visit: Visit, finding: Finding) -> Told:
    """A finding as this user may read it."""
    text = _HIDDEN.get(finding.code, finding.text) if visit.hides_errors else finding.text
    which = {} if visit.hides_errors else _which(finding.filter)
    tone = _TONES.get(finding.code, "ahead")
    return Told(finding.code, visit.words.told(text), tone, finding.about, which)


def _which(filter: Filter | None) -> Mapping[str, str]:
    """What the page of messages takes, to show all that failed alike."""
    if filter is None:
        return {}
    phase = Phase.DEAD if filter.state is State.DEAD else filter.phase
    said = {
        "error": filter.error, "error_class": filter.error_class,
        "phase": None if phase is None else phase.value,
    }  # fmt: skip
    return {name: value for name, value in said.items() if value is not None}


def _figures(snapshot: Snapshot, rows: Sequence[EventRow]) -> dict[str, Any]:
    stats, forecast = snapshot.standing.stats, snapshot.forecast
    living = [each for each in snapshot.standing.schedulers if not each.gone]
    buckets = [] if forecast is None else forecast.buckets
    late = [each for each in rows if each.late]
    known = snapshot.names is not None
    counted = sum(each.late for each in late)
    if not (known and snapshot.all_names):  # there may be others than the names that were read
        counted = max(counted, snapshot.standing.late)
    return {
        "stats": stats,
        "late": counted,
        "late_at_least": any(each.at_least for each in late) or not snapshot.all_names,
        "late_link": ("events", {"late": "yes"}) if known else ("messages", {"phase": "due"}),
        "oldest": min((each.oldest for each in late if each.oldest), default=None),
        "hour_ends": None if forecast is None else _minute(forecast.until),
        "within": None if forecast is None else sum(each.total for each in buckets),
        "retrying": None if forecast is None else sum(each.retries for each in buckets),
        "partial": forecast is not None and not forecast.complete,
        "slots": sum(each.slots for each in living),
        "rules": len(snapshot.standing.controls),
    }


def _minute(moment: datetime) -> datetime:
    """The next full minute, so that a link is not another one at each look."""
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1)


async def causes_of(visit: Visit) -> Sequence[Any] | None:
    """What the dead died of, the most frequent cause first; None where it is not for this user."""
    if visit.hides_errors:
        return None

    async def read() -> Any:
        query, _ = visit.many({})
        return await visit.ask(resource("/causes"), query=query)

    try:
        found = await visit.site.recent.get(f"causes:{visit.user.events}", read)
    except (DulyError, Problem):
        return None
    return list(found.items[:_CAUSES])
