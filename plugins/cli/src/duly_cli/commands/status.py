"""``duly status``: how things stand, in one sentence, and what helps."""

from collections.abc import Mapping
from typing import Any, Final

import attrs

from duly import Finding
from duly_cli.commands.dead import words_of
from duly_cli.commands.schedulers import scheduler_facts
from duly_cli.desk import Desk
from duly_cli.errors import AWAY, UNHEALTHY
from duly_cli.rules import control_facts
from duly_cli.sheet import sheet
from duly_cli.verbs import verb

__all__ = ["advice", "finding_facts", "status"]

_ADVICE: Final = {
    "run": "duly run --app module:scheduler",
    "show": "duly show {about}",
    "replay": "duly dead",
    "resume": "duly resume {about}",
    "recover": "duly recover {about}",
    "schedule": (
        "duly schedule EVENT PAYLOAD --in 10m\n  duly run --app module:scheduler\n  duly watch"
    ),
}
_ALARMS: Final = {"nobody", "late", "away"}


@verb(patient=True)
async def status(desk: Desk) -> None:
    """How things stand, in one sentence, and what helps.

    Exits with 0 when all is well, 4 when the store is away, 5 when messages are late or nobody
    delivers.
    """
    standing = await desk.client.standing()
    stats = standing.stats
    first, *others = standing.findings
    desk.say(first.text, "bold green" if first.code == "well" else "bold yellow")
    for finding in [first, *others]:
        if finding is not first:
            desk.say(f"Also: {finding.text}")
        if finding.act is not None:
            desk.say(f"  {advice(finding, desk.target.words)}", "cyan")
    if stats is not None and not desk.json:
        desk.say("")
        alive = sum(not each.gone for each in standing.schedulers)
        sheet(
            desk,
            ["late", "scheduled", "aside", "in hand", "dead", "schedulers", "next due"],
            [
                [
                    standing.late, stats.scheduled, stats.aside, stats.claimed, stats.dead, alive,
                    stats.next_due,
                ]
            ],
        )  # fmt: skip
        desk.say(f"of {desk.target}", "dim")
    desk.record(
        {
            "code": standing.code,
            "sentence": standing.sentence,
            "findings": [finding_facts(each) for each in standing.findings],
            "late": standing.late,
            "stats": stats,
            "schedulers": [scheduler_facts(each, standing.as_of) for each in standing.schedulers],
            "controls": [control_facts(*each) for each in sorted(standing.controls.items())],
            "as_of": standing.as_of,
            "store": str(desk.target),
        }
    )
    if standing.code == "store_away":
        desk.code = AWAY
    elif any(finding.code in _ALARMS for finding in standing.findings):
        desk.code = UNHEALTHY


def finding_facts(each: Finding) -> Mapping[str, Any]:
    """A finding for programs."""
    filter = None if each.filter is None else words_of(each.filter)
    return {**attrs.asdict(each, recurse=False), "filter": filter}


def advice(finding: Finding, words: str) -> str:
    """The command that helps, on the same store."""
    return _ADVICE[finding.act or ""].format(about=finding.about) + words
