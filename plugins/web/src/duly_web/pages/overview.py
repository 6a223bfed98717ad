"""How all stands: the sentence, seven figures, the last hour and the next, and what needs you."""

from collections.abc import Sequence
from typing import Any, Final

import attrs

from duly import DulyError, Finding
from duly_web.pages.picture import picture
from duly_web.pages.resources import resource
from duly_web.pages.snapshot import Snapshot
from duly_web.pages.states import needing, rows_of
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


async def overview(visit: Visit) -> Shown:
    """The page that is looked at first."""
    snapshot = await visit.snapshot()
    rows = [each for each in rows_of(snapshot) if visit.user.sees(each.name)]
    facts: dict[str, Any] = {
        "nav": "", "title": "Overview", "rows": needing(rows)[:_ROWS], "of": len(rows),
        "causes": await causes_of(visit), "picture": None, "figures": None,
    }  # fmt: skip
    if not visit.user.everywhere:
        return Shown("overview_part.html", {**facts, "late": [e for e in rows if e.late]})
    findings = [told(visit, each) for each in snapshot.standing.findings]
    return Shown(
        "overview.html",
        {
            **facts,
            "findings": findings[:_FINDINGS],
            "figures": _figures(snapshot),
            "picture": picture(snapshot, visit.words),
            "all_findings": len(findings),
        },
    )


def told(visit: Visit, finding: Finding) -> Told:
    """A finding as this user may read it."""
    text = _HIDDEN.get(finding.code, finding.text) if visit.hides_errors else finding.text
    return Told(
        finding.code, visit.words.told(text), _TONES.get(finding.code, "ahead"), finding.about
    )


def _figures(snapshot: Snapshot) -> dict[str, Any]:
    stats, forecast = snapshot.standing.stats, snapshot.forecast
    living = [each for each in snapshot.standing.schedulers if not each.gone]
    buckets = [] if forecast is None else forecast.buckets
    return {
        "stats": stats,
        "late": snapshot.standing.late,
        "within": None if forecast is None else sum(each.total for each in buckets),
        "retrying": None if forecast is None else sum(each.retries for each in buckets),
        "partial": forecast is not None and not forecast.complete,
        "slots": sum(each.slots for each in living),
        "rules": len(snapshot.standing.controls),
    }


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
