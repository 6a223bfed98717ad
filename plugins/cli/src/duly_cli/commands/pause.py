"""``duly pause``: nothing of an event name is delivered until somebody resumes it."""

from datetime import datetime

import attrs
import click

from duly_cli.control_acts import by_whom, control_of, held_by, see_that_it_is_no_file, told
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.persons import who
from duly_cli.verbs import moment_of, verb

__all__ = ["pause"]


@verb(changes=True)
@click.argument("name")
@click.option("--until", metavar="MOMENT", help="It ends by itself then.")
@click.option("--for", "for_", metavar="DURATION", help="It ends by itself after that long.")
@click.option("--reason", metavar="TEXT", default="", help="Shown wherever the pause is.")
@by_whom
async def pause(
    desk: Desk, *, name: str, until: str | None, for_: str | None, reason: str, by: str | None
) -> None:
    """Deliver nothing of a NAME, of 'orders.*', or of '*' for all."""
    end: datetime | None = None
    if until is not None and for_ is not None:
        raise Refused("--until and --for cannot go together", USAGE)
    if until is not None:
        end = moment_of(desk, until, "--until")
    elif for_ is not None:
        end = moment_of(desk, f"+{for_}", "--for")
    see_that_it_is_no_file(name)
    before = await control_of(desk, name)
    desk.confirm(f"Pause {name}")
    after = await desk.client.pause(name, reason=reason, by=who(by), until=end)
    held = await held_by(desk, name)
    desk.say(f"{told(desk, name, after)}.", "bold")
    desk.say(f"Before: {told(desk, name, before)}.")
    if held is not None:
        desk.say(f"It holds {held}.")
    desk.record(
        {
            "name": name,
            "before": before,
            "control": after,
            "holds": None if held is None else attrs.asdict(held),
        }
    )
