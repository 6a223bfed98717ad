"""``duly next EXPRESSION``: when it fires, with no store at all."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

import attrs
import click

from duly import Cron, Every
from duly.recurrence import Recurrence
from duly.words import in_words
from duly_cli.clocks import Change, changes
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.moments import as_duration
from duly_cli.verbs import moment_of, verb
from duly_cli.words import rule_facts, rule_text

__all__ = ["next_"]

_EVERY: Final = "every "
_TICK: Final = timedelta(microseconds=1)


@attrs.frozen
class _Fire:
    """A fire, and what clocks do there."""

    at: datetime
    notes: Sequence[str]


@verb("next", opens=False)
@click.argument("expression")
@click.option("-n", "number", type=click.IntRange(1, 100), default=5, show_default=True)
@click.option("--from", "start", metavar="MOMENT", default="now", help="Fires behind that moment.")
async def next_(desk: Desk, *, expression: str, number: int, start: str) -> None:
    """When a cron expression fires, in words.

    Also of an interval: 'every 15m'. No store is needed. Clocks are those of --tz:
    duly next '30 2 * * *' --tz Europe/Berlin
    """
    rule = _rule(expression, desk)
    begin = moment_of(desk, start, "--from").astimezone(UTC)
    try:
        fires = _marked(rule, begin, [*itertools.islice(rule.all_after(begin), number)], desk.zone)
    except OverflowError as error:
        raise Refused(f"--from: {start!r} is too near to the end of time", USAGE) from error
    if not fires:
        raise Refused(f"{expression!r} never fires after {desk.moment(begin)}")
    for fire in fires:
        desk.record(
            {
                "at": fire.at,
                "local": fire.at.astimezone(desk.zone).isoformat(),
                "timezone": str(desk.zone),
                "notes": fire.notes,
                "in_words": in_words(rule),
                "recurrence": rule_facts(rule),
            }
        )
    counted = "" if isinstance(rule, Cron) else f", counted from {desk.moment(begin)}"
    desk.say(f"{rule_text(rule)}{counted}", "bold")
    for fire in fires:
        local = fire.at.astimezone(desk.zone)
        utc = "" if desk.zone is UTC else f"   {fire.at:%Y-%m-%d %H:%M:%S} UTC"
        desk.say(f"  {local:%a %Y-%m-%d %H:%M:%S %Z} {_offset(local)}{utc}")
        for note in fire.notes:
            desk.say(f"    {note}", "yellow")


def _rule(expression: str, desk: Desk) -> Recurrence:
    if expression.strip().lower().startswith(_EVERY):
        return Every(as_duration(expression.strip()[len(_EVERY) :], "EXPRESSION"))
    return Cron(expression, timezone=str(desk.zone))


def _offset(local: datetime) -> str:
    return f"{local:%z}"[:3] + ":" + f"{local:%z}"[3:5]


def _marked(
    rule: Recurrence, begin: datetime, fires: Sequence[datetime], zone: tzinfo
) -> Sequence[_Fire]:
    """Each change of the clocks is told of once, at the fire that it concerns or the next one."""
    if not fires:
        return []
    notes: dict[datetime, list[str]] = {}
    for change in changes(zone, begin, fires[-1] + timedelta(days=1)):
        near = [at for at in fires if change.concerns(_wall(at, zone)) or at >= change.at]
        if near and (near[0] <= fires[-1]):
            notes.setdefault(near[0], []).append(_note(rule, change, near[0], zone))
    return [_Fire(at, notes.get(at, [])) for at in fires]


def _note(rule: Recurrence, change: Change, at: datetime, zone: tzinfo) -> str:
    what = _what(rule, change, at, zone)
    return f"{change.way} here: {what}" if what else f"{change.way} in between, {change}"


def _what(rule: Recurrence, change: Change, at: datetime, zone: tzinfo) -> str:
    """What becomes of the fires of an expression there; empty where nothing does."""
    if not isinstance(rule, Cron):
        return ""
    wall = _wall(at, zone)
    if change.back:
        if not change.concerns(wall):
            return ""
        other = any(_fires(rule, each) for each in (at - change.gap, at + change.gap))
        return f"{wall:%H:%M} comes twice, it fires {'twice' if other else 'once'}"
    before, after = change.shown
    plain = Cron(rule.expression)  # by clocks that nobody puts
    lost = plain.following(before.replace(tzinfo=UTC) - _TICK)
    if lost is None or lost >= after.replace(tzinfo=UTC):
        return ""
    moved = at == change.at and not _fires(plain, wall.replace(tzinfo=UTC))
    then = f"it fires at {wall:%H:%M}" if moved else "it is left out"
    return f"{lost:%H:%M} does not come, {then}"


def _fires(rule: Recurrence, at: datetime) -> bool:
    return rule.following(at - _TICK) == at


def _wall(moment: datetime, zone: tzinfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
