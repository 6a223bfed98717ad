"""``duly move``: a message that waits is due at another moment."""

import click

from duly_cli.desk import Desk
from duly_cli.errors import USAGE, Refused
from duly_cli.verbs import moment_of, verb

__all__ = ["move"]


@verb(changes=True)
@click.argument("id")
@click.option("--at", metavar="MOMENT", help="Due then.")
@click.option("--in", "in_", metavar="DURATION", help="Due that long from now.")
async def move(desk: Desk, *, id: str, at: str | None, in_: str | None) -> None:
    """Move a message that waits; of a series, its next fire."""
    if (at is None) == (in_ is None):
        raise Refused("say when, by one of --at MOMENT and --in 10m", USAGE)
    moment = moment_of(desk, f"+{in_}", "--in") if at is None else moment_of(desk, at, "--at")
    before = await desk.client.get(id)
    desk.confirm(f"Move {id} to {desk.moment(moment)}")
    await desk.client.reschedule(id, moment)
    desk.say(
        f"{id} is due {desk.moment(moment)}; it was due {desk.moment(before.next_attempt_at)}."
    )
    desk.record({"id": id, "scheduled_at": moment, "before": before.next_attempt_at})
