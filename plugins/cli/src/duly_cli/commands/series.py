"""``duly series``: what recurs, and when it fires next."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import click

from duly import Control, Cron, Filter, Message, State
from duly.words import duration, in_words
from duly_cli.commands.list import phase_of
from duly_cli.desk import Desk
from duly_cli.moments import zone
from duly_cli.rules import controls_of, pause_at, pause_text
from duly_cli.verbs import filtered, verb
from duly_cli.words import rule_facts, rule_text

__all__ = ["series"]

_LATE: Final = timedelta(seconds=10)
_FAR: Final = timedelta(days=36_525)


@verb()
@click.option("--next", "number", type=click.IntRange(1, 1000), default=5, show_default=True)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@click.option(
    "--look-at",
    type=click.IntRange(1),
    default=10_000,
    help="Series, at most; messages where the store has no index of series.",
)
@filtered()
async def series(desk: Desk, *, filter: Filter, number: int, limit: int, look_at: int) -> None:
    """What recurs: rules in words, next fires."""
    found = await desk.client.series(filter, look_at=look_at)
    recurring = found.messages
    controls = await controls_of(desk.client)
    for message in recurring[:limit]:
        fires = await _fires(desk, message, number)
        _tell(desk, message, fires, controls)
    if not recurring:
        desk.say("nothing recurs")
    if len(recurring) > limit:
        desk.note(f"The first {limit:,} of {len(recurring):,}: see --limit.")
    if not found.complete:
        desk.note(f"Of the first {found.looked_at:,} that were looked at: see --look-at.")


async def _fires(desk: Desk, message: Message, number: int) -> Sequence[datetime]:
    """The next so many, by what follows it as well."""
    until = datetime.now(UTC) + _FAR
    filter = Filter(ids=[message.id])
    ahead = await desk.client.upcoming(until, filter=filter, limit=number)
    return [each.at for each in ahead]


def _tell(
    desk: Desk, message: Message, fires: Sequence[datetime], controls: Mapping[str, Control]
) -> None:
    assert message.recurrence is not None, "it recurs"  # noqa: S101  # for the type checker
    now = datetime.now(UTC)
    paused = pause_at(message.event_name, controls, now)
    late = now - message.next_attempt_at
    is_late = message.state is State.SCHEDULED and late > _LATE and paused is None
    desk.record(_facts(message, fires, now, late=is_late))
    desk.say(f"{message.id}  {message.event_name}", "bold")
    times = message.occurrence_count
    so_far = "no fire yet" if not times else f"{times:,} fire{'s' if times > 1 else ''} so far"
    desk.say(f"  {rule_text(message.recurrence)}; {so_far}")
    if is_late:
        desk.say(f"  late by {duration(late)}: duly show {message.id}", "yellow")
    if paused is not None:
        desk.say(f"  {pause_text(desk, *paused)}", "yellow")
    if message.recurrence.until is not None:
        desk.say(f"  until {desk.moment(message.recurrence.until)}")
    for place, at in enumerate(fires):
        desk.say(
            f"  {'    ' if place else 'next'}  {desk.moment(at)}{_by_its_clock(desk, message, at)}"
        )


def _by_its_clock(desk: Desk, message: Message, at: datetime) -> str:
    """What the clocks of its own zone show then, where that is another one."""
    rule = message.recurrence
    if not isinstance(rule, Cron) or rule.timezone == str(desk.zone):
        return ""
    return f" ({at.astimezone(zone(rule.timezone)):%a %H:%M:%S %Z})"


def _facts(
    message: Message, fires: Sequence[datetime], now: datetime, *, late: bool
) -> Mapping[str, Any]:
    assert message.recurrence is not None, "it recurs"  # noqa: S101  # for the type checker
    return {
        "id": message.id,
        "event_name": message.event_name,
        "phase": phase_of(message, now),
        "late": late,
        "scheduled_at": message.scheduled_at,
        "next_attempt_at": message.next_attempt_at,
        "occurrence_count": message.occurrence_count,
        "recurrence": rule_facts(message.recurrence),
        "in_words": in_words(message.recurrence),
        "next": fires,
    }
