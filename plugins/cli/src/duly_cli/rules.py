"""What people have said of event names, for programs and in words."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from duly import Client, Control, Limit, Pause, Unsupported
from duly_cli.desk import Desk

__all__ = [
    "control_facts",
    "controls_of",
    "fits",
    "limit_text",
    "pause_at",
    "pause_text",
    "rules_for",
]


async def controls_of(client: Client) -> Mapping[str, Control]:
    """What is paused and limited; nothing where the store keeps no rules."""
    try:
        return await client.controls()
    except Unsupported:
        return {}


def rules_for(name: str, controls: Mapping[str, Control]) -> Sequence[str]:
    """The rules that stand for this event name."""
    return [rule for rule in controls if fits(rule, name)]


def pause_at(name: str, controls: Mapping[str, Control], at: datetime) -> tuple[str, Pause] | None:
    """The rule by which this event name will be paused at that moment."""
    for rule in rules_for(name, controls):
        pause = controls[rule].pause
        if pause is not None and (pause.until is None or pause.until > at):
            return rule, pause
    return None


def pause_text(desk: Desk, rule: str, pause: Pause) -> str:
    """Such as "invoices.* is paused by jonas until 18:00 (INV-204)"."""
    until = "" if pause.until is None else f" until {desk.moment(pause.until)}"
    return f"{rule} is paused{_by(pause)}{until}{_why(pause)}"


def limit_text(rule: str, limit: Limit) -> str:
    """Such as "mail.* is limited to 50/s and 4 in flight by mara (INC-81)"."""
    bounds = [
        *([] if limit.rate is None else [f"{limit.rate:g}/s"]),
        *([] if limit.in_flight is None else [f"{limit.in_flight:,} in flight"]),
    ]
    return f"{rule} is limited to {' and '.join(bounds)}{_by(limit)}{_why(limit)}"


def control_facts(rule: str, control: Control) -> Mapping[str, Any]:
    """A rule for programs."""
    pause, limit = control.pause, control.limit
    latest = max((each for each in (pause, limit) if each), key=lambda each: each.since)
    return {
        "rule": rule,
        "paused": pause is not None,
        "until": None if pause is None else pause.until,
        "rate_per_second": None if limit is None else limit.rate,
        "in_flight": None if limit is None else limit.in_flight,
        "reason": latest.reason,
        "by": latest.by,
        "changed_at": latest.since,
        "pause": pause,
        "limit": limit,
    }


def fits(rule: str, name: str) -> bool:
    """Whether a rule, which may be a prefix as orders.*, stands for this event name."""
    wide = rule == "*" or rule.endswith(".*")
    return name.startswith(rule[:-1]) if wide else name == rule


def _by(said: Pause | Limit) -> str:
    return f" by {said.by}" if said.by else ""


def _why(said: Pause | Limit) -> str:
    return f" ({said.reason})" if said.reason else ""
