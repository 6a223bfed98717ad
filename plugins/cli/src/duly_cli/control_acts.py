"""Pauses and limits in words, who says them, and how many messages they hold."""

from pathlib import Path
from typing import Final

import attrs
import click

from duly import Control, Unsupported
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.many import number_of

__all__ = ["Held", "by_whom", "control_of", "held_by", "see_that_it_is_no_file", "told"]

_PAGES: Final = 10  # of a thousand event names each

by_whom = click.option("--by", metavar="NAME", help="Who says so [DULY_BY, or the login name].")


@attrs.frozen
class Held:
    """How many messages of some names are due, and how many are not yet; ``at_least`` so many."""

    due: int
    later: int
    at_least: bool

    def __str__(self) -> str:
        least = "at least " if self.at_least else ""
        return f"{least}{number_of(self.due, 'message')} due and {self.later:,} for later"


def see_that_it_is_no_file(name: str) -> None:
    """What a shell makes of orders.* in a folder that has such files is no event name.

    Raises:
        Refused: a file of the current folder is called so.
    """
    if Path(name).exists():
        raise Refused(
            f"{name} is a file of this folder: quote a pattern, as in 'orders.*', or the shell "
            "puts files in its place",
            USAGE,
        )


async def control_of(desk: Desk, name: str) -> Control:
    """What the rule for just this name or prefix says."""
    return (await desk.client.controls()).get(name, Control())


def told(desk: Desk, name: str, control: Control) -> str:
    """What holds, as in "invoices.* is paused until 18:00 by jonas (INV-204)"."""
    parts = []
    if control.pause is not None:
        until = control.pause.until
        ends = "" if until is None else f" until {desk.moment(until)}"
        parts.append(f"paused{ends}{_because(control.pause.by, control.pause.reason)}")
    if control.limit is not None:
        rate, flying = control.limit.rate, control.limit.in_flight
        most = [] if rate is None else [f"{rate:g} a second"]
        most += [] if flying is None else [f"{flying:,} at once"]
        because = _because(control.limit.by, control.limit.reason)
        parts.append(f"limited to {' and '.join(most)}{because}")
    return f"{name} is {' and '.join(parts) or 'neither paused nor limited'}"


async def held_by(desk: Desk, name: str) -> Held | None:
    """How many messages a rule for that name or prefix holds; None where the store cannot tell."""
    prefix = name.endswith(".*") or name == "*"
    start = name[:-1] if prefix else name
    due = later = 0
    at_least = False
    after: str | None = start[:-1] or None  # sorts before all of them, and close to the first
    try:
        for _ in range(_PAGES):
            page = await desk.client.names(after=after)
            for each in page:
                if each.name == name or (prefix and each.name.startswith(start)):
                    due, later = due + each.due, later + each.scheduled - each.due
                    at_least = at_least or each.at_least
            last = page[-1].name if page else None
            if last is None or (last >= start and not (prefix and last.startswith(start))):
                return Held(due, later, at_least)
            after = last
    except Unsupported:
        return None
    return Held(due, later, at_least=True)


def _because(by: str, reason: str) -> str:
    return f"{f' by {by}' if by else ''}{f' ({reason})' if reason else ''}"
