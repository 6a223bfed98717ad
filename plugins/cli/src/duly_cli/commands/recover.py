"""``duly recover``: what a dead scheduler held comes back at once."""

import click

from duly import InvalidArgument, WrongState
from duly_cli.desk import Desk
from duly_cli.errors import Refused
from duly_cli.many import number_of
from duly_cli.verbs import verb

__all__ = ["recover"]


@verb(changes=True)
@click.argument("instance")
@click.option("--force", is_flag=True, help="Do not ask whether it is gone.")
async def recover(desk: Desk, *, instance: str, force: bool) -> None:
    """What a dead scheduler holds is due again at once."""
    if force:
        desk.note("If it lives, what it is delivering just now is delivered twice.")
    desk.confirm(f"End all that {instance} holds" if force else f"Recover {instance}", always=force)
    try:
        number = await desk.client.recover(instance, force=force)
    except (InvalidArgument, WrongState) as error:  # it is not known, or lives
        raise Refused(str(error).replace("force=True", "--force")) from error
    held = number_of(number, "message")
    desk.say(
        f"{instance} is recovered: {held} {'is' if number == 1 else 'are'} due again. The next "
        "claim of a scheduler takes them; until then they count as in hand."
    )
    desk.record({"instance": instance, "messages": number, "force": force})
