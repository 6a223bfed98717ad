"""``duly fire``: a message is delivered now."""

import click

from duly_cli.desk import Desk
from duly_cli.verbs import verb

__all__ = ["fire"]


@verb(changes=True)
@click.argument("id")
async def fire(desk: Desk, *, id: str) -> None:
    """Have a message delivered now; of a series, one fire more."""
    desk.confirm(f"Fire {id}")
    gone = await desk.client.fire(id)
    if gone == id:
        desk.say(f"{id} is due now.")
    else:
        desk.say(f"One fire more of {id} is due now, as {gone}; the series goes on as before.")
    desk.record({"id": id, "delivered_as": gone})
