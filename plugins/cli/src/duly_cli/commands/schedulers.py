"""``duly schedulers``: who delivers, and who is gone."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from duly import SchedulerInfo
from duly.words import duration
from duly_cli.desk import Desk
from duly_cli.sheet import sheet
from duly_cli.verbs import verb

__all__ = ["scheduler_facts", "schedulers"]

_COLUMNS: Final = [
    "scheduler", "is", "seen", "in hand", "slots", "transport", "owner", "host", "pid", "version",
    "since", "outage",
]  # fmt: skip


@verb()
async def schedulers(desk: Desk) -> None:
    """Who delivers, what they hold, who is gone."""
    found = await desk.client.schedulers()
    now = datetime.now(UTC)
    for each in found:
        desk.record(scheduler_facts(each, now))
    sheet(
        desk,
        _COLUMNS,
        [_row(each, now) for each in found],
        "No scheduler is alive: duly run --app module:scheduler starts one.",
    )
    for each in found:
        if each.gone:
            who = each.instance or each.owner
            held = (
                f"it held {each.claimed:,} when it was seen last"
                if each.claimed
                else "it held nothing when it was seen last"
            )
            desk.say(f"{who} is gone, {held}: duly recover {who}", "yellow")


def scheduler_facts(each: SchedulerInfo, now: datetime) -> Mapping[str, Any]:
    """A scheduler for programs."""
    return {
        "instance": each.instance,
        "owner": each.owner,
        "host": each.host,
        "pid": each.pid,
        "version": each.version,
        "transport": each.transport,
        "since": each.since,
        "seen": each.seen,
        "seen_seconds": max(0.0, (now - each.seen).total_seconds()),
        "gone": each.gone,
        "overdue": each.overdue,
        "claimed": each.claimed,
        "slots_used": each.slots_used,
        "slots": each.slots,
        "outage": each.outage,
        "lease_seconds": each.lease,
    }


def _row(each: SchedulerInfo, now: datetime) -> Sequence[object]:
    state = "gone" if each.gone else "away" if each.outage else "alive"
    return [
        each.instance or each.owner,
        state,
        f"{duration(now - each.seen)} ago" if each.gone or each.overdue else "in time",
        each.claimed,
        f"{each.slots_used} of {each.slots}",
        each.transport,
        each.owner if each.instance else "",
        each.host,
        str(each.pid),
        each.version,
        each.since,
        each.outage,
    ]
