"""``duly watch``: how things stand, again and again."""

import asyncio
import signal
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import attrs
import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from duly import NameStats, SchedulerInfo, Standing, StoreError, Unsupported
from duly.words import duration
from duly_cli.commands.schedulers import scheduler_facts
from duly_cli.commands.status import finding_facts
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.moments import as_duration
from duly_cli.names import all_names, state_of
from duly_cli.rules import fits
from duly_cli.verbs import verb

__all__ = ["watch"]

_LEAST: Final = timedelta(milliseconds=100)
_NAMES: Final = 1000  # that are looked at
_SHOWN: Final = 10  # names, and as many schedulers


@attrs.frozen
class _Look:
    """What one look has seen: ``names`` with how they are."""

    standing: Standing
    names: Sequence[tuple[NameStats, str]]


@verb(patient=True)
@click.option("--every", metavar="LENGTH", default="2s", show_default=True)
@click.option("--event", metavar="NAME", help="Show it as well, or a prefix: 'orders.*'")
@click.option("--count", type=click.IntRange(1), help="End after so many looks.")
async def watch(desk: Desk, *, every: str, event: str | None, count: int | None) -> None:
    """How things stand, live, until Ctrl-C."""
    pause = as_duration(every, "--every")
    if pause < _LEAST:
        raise Refused(f"--every: {every!r} is too short: give at least 100ms", USAGE)
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None, "it is run as one"  # noqa: S101  # for the type checker
    loop.add_signal_handler(signal.SIGINT, task.cancel)
    try:
        await _watch(desk, pause.total_seconds(), event, count)
    except asyncio.CancelledError:
        pass  # by Ctrl-C: seen enough
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _watch(desk: Desk, pause: float, event: str | None, count: int | None) -> None:
    shown = desk.out.is_terminal and not desk.json
    live = Live(console=desk.out, auto_refresh=False) if shown else None
    done = 0
    with live or nullcontext():
        while True:
            look = await _look(desk, event)
            if live is not None:
                live.update(_screen(desk, look), refresh=True)
            else:
                desk.record(_facts(look))
                said = f"{look.standing.sentence}  {_figures(look.standing)}".rstrip()
                desk.say(f"{desk.moment(look.standing.as_of)}  {said}")
            done += 1
            if count is not None and done >= count:
                return
            await asyncio.sleep(pause)


async def _look(desk: Desk, event: str | None) -> _Look:
    standing = await desk.client.standing()
    if standing.stats is None:
        return _Look(standing, [])
    try:
        found, _ = await all_names(desk.client, most=_NAMES)
    except (StoreError, Unsupported):  # the next look may tell
        found = []
    now = datetime.now(UTC)
    named = [(each, state_of(each, standing.controls, now)) for each in found]
    return _Look(
        standing,
        [
            (each, state)
            for each, state in named
            if state not in ("well", "limited") or (event and fits(event, each.name))
        ],
    )


def _figures(standing: Standing) -> str:
    stats = standing.stats
    if stats is None:
        return ""
    alive = sum(not each.gone for each in standing.schedulers)
    said = [
        f"late {standing.late:,}",
        f"scheduled {stats.scheduled:,}",
        f"aside {stats.aside:,}",
        f"in hand {stats.claimed:,}",
        f"dead {stats.dead:,}",
        f"schedulers {alive}",
    ]
    if stats.next_due is not None:
        said.append(f"next due in {duration(stats.next_due - standing.as_of)}")
    return ", ".join(said)


def _screen(desk: Desk, look: _Look) -> RenderableType:
    standing, now = look.standing, look.standing.as_of
    first, *others = standing.findings
    style = "bold green" if first.code == "well" else "bold yellow"
    lines = [Text(f"As of {desk.moment(now)}, Ctrl-C ends", "dim"), Text(first.text, style)]
    lines += [Text(f"Also: {each.text}") for each in others]
    lines += [Text(""), Text(_figures(standing)), Text("")]
    for each, state in look.names[:_SHOWN]:
        oldest = "" if each.oldest is None else f", the oldest for {duration(now - each.oldest)}"
        text = f"{each.name}  {state}: {each.due:,} due, {each.aside:,} aside{oldest}"
        lines.append(Text(f"  {text}", "yellow" if state == "late" else ""))
    lines += _more(len(look.names), "event names")
    for one in standing.schedulers[:_SHOWN]:
        state = "gone" if one.gone else "away" if one.outage else "alive"
        text = f"{one.instance or one.owner}  {state}{_silence(one, now)}: "
        text += f"{one.claimed:,} in hand, {one.slots_used} of {one.slots} slots"
        lines.append(Text(f"  {text}", "" if state == "alive" else "yellow"))
    lines += _more(len(standing.schedulers), "schedulers")
    return Group(*lines)


def _silence(one: SchedulerInfo, now: datetime) -> str:
    """Since when it says nothing, where it should have."""
    return f", seen {duration(now - one.seen)} ago" if one.gone or one.overdue else ""


def _more(number: int, what: str) -> Sequence[Text]:
    return [Text(f"  and {number - _SHOWN:,} more {what}", "dim")] if number > _SHOWN else []


def _facts(look: _Look) -> Mapping[str, Any]:
    standing = look.standing
    return {
        "as_of": standing.as_of,
        "code": standing.code,
        "sentence": standing.sentence,
        "findings": [finding_facts(each) for each in standing.findings],
        "late": standing.late,
        "stats": standing.stats,
        "names": [
            {
                "event_name": each.name,
                "is": state,
                "scheduled": each.scheduled,
                "due": each.due,
                "aside": each.aside,
                "claimed": each.claimed,
                "dead": each.dead,
                "oldest": each.oldest,
            }
            for each, state in look.names
        ],
        "schedulers": [scheduler_facts(each, standing.as_of) for each in standing.schedulers],
    }
