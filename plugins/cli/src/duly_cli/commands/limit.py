"""``duly limit``: so much of an event name is delivered and no more."""

import attrs
import click

from duly_cli.control_acts import by_whom, control_of, held_by, see_that_it_is_no_file, told
from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.persons import who
from duly_cli.verbs import verb

__all__ = ["limit"]


@verb(changes=True)
@click.argument("name")
@click.option("--rate", type=float, help="Messages a second: 0.1 is one in ten seconds.")
@click.option("--in-flight", type=int, help="So many at once.")
@click.option("--off", is_flag=True, help="No limit any more.")
@click.option("--reason", metavar="TEXT", default="", help="Shown wherever the limit is.")
@by_whom
async def limit(
    desk: Desk,
    *,
    name: str,
    rate: float | None,
    in_flight: int | None,
    off: bool,
    reason: str,
    by: str | None,
) -> None:
    """Deliver no more than so much of an event name.

    What is said replaces what was said before.
    """
    if off == (rate is not None or in_flight is not None):
        raise Refused("say how much, by --rate and --in-flight or one of them; or --off", USAGE)
    see_that_it_is_no_file(name)
    before = await control_of(desk, name)
    desk.confirm(f"Limit {name}" if not off else f"Take the limit of {name} off")
    after = await desk.client.limit(name, rate=rate, in_flight=in_flight, reason=reason, by=who(by))
    held = await held_by(desk, name)
    desk.say(f"{told(desk, name, after)}.", "bold")
    desk.say(f"Before: {told(desk, name, before)}.")
    if held is not None:
        desk.say(f"Of it there are {held}.")
    desk.record(
        {
            "name": name,
            "before": before,
            "control": after,
            "holds": None if held is None else attrs.asdict(held),
        }
    )
