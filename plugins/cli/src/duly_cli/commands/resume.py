"""``duly resume``: an event name that was paused flows again."""

import attrs
import click

from duly_cli.control_acts import by_whom, control_of, held_by, see_that_it_is_no_file, told
from duly_cli.desk import Desk
from duly_cli.errors import Refused
from duly_cli.persons import who
from duly_cli.verbs import verb

__all__ = ["resume"]


@verb(changes=True)
@click.argument("name")
@click.option("--reason", metavar="TEXT", default="", help="Logged by those who watch.")
@by_whom
async def resume(desk: Desk, *, name: str, reason: str, by: str | None) -> None:
    """Deliver an event name or prefix again that was paused."""
    see_that_it_is_no_file(name)
    before = await control_of(desk, name)
    desk.confirm(f"Resume {name}")
    was = await desk.client.resume(name, reason=reason, by=who(by))
    held = await held_by(desk, name)
    after = attrs.evolve(before, pause=None)
    if was:
        desk.say(f"{told(desk, name, after)}.", "bold")
        desk.say(f"Before: {told(desk, name, before)}.")
        if held is not None:
            desk.say(f"It held {held}.")
    else:
        paused = [key for key, each in (await desk.client.controls()).items() if each.pause]
        known = ", ".join(paused) or "nothing"
        raise Refused(f"{name} is not paused: nothing was done; paused is {known}")
    desk.record(
        {
            "name": name,
            "was_paused": was,
            "before": before,
            "control": after,
            "holds": None if held is None else attrs.asdict(held),
        }
    )
