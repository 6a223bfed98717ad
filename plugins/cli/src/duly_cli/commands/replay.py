"""``duly replay``: dead letters are scheduled again, by their ids."""

from collections.abc import Sequence

import click

from duly import DulyError, InvalidArgument, MessageNotFound, State, WrongState
from duly_cli.desk import Desk
from duly_cli.errors import IN_PART, REFUSED, Refused
from duly_cli.many import number_of
from duly_cli.verbs import moment_of, verb

__all__ = ["replay"]


@verb(changes=True)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--at", metavar="MOMENT", help="Due then, instead of at once.")
@click.option("--dry-run", is_flag=True, help="Tell of each whether it is dead, do nothing.")
async def replay(desk: Desk, *, ids: Sequence[str], at: str | None, dry_run: bool) -> None:
    """Schedule dead letters again: those of these ids. For many: duly dead replay."""
    moment = None if at is None else moment_of(desk, at, "--at")
    if not dry_run:
        desk.confirm(f"Replay {ids[0] if len(ids) == 1 else number_of(len(ids), 'dead letter')}")
    done = 0
    due = "at once" if moment is None else desk.moment(moment)
    for id in dict.fromkeys(ids):
        try:
            await (_look(desk, id) if dry_run else desk.client.replay(id, at=moment))
        except (InvalidArgument, MessageNotFound, WrongState) as error:
            desk.note(f"{id} is left as it is: {error}")
            desk.record({"id": id, "outcome": type(error).__name__, "text": str(error)})
            continue
        except DulyError as error:
            if not done:
                raise
            text = f"{done:,} of {len({*ids}):,} are replayed, then: {error}"
            raise Refused(text, IN_PART) from error
        done += 1
        desk.say(f"{id} {'would be' if dry_run else 'is'} due {due}.")
        desk.record({"id": id, "outcome": "would_be_replayed" if dry_run else "replayed"})
    if done < len({*ids}):
        desk.code = IN_PART if done else REFUSED


async def _look(desk: Desk, id: str) -> None:
    """Raise what replaying it would."""
    message = await desk.client.get(id)
    if message.state is not State.DEAD:
        raise WrongState(f"message {id!r} is {message.state.value}, not {State.DEAD.value}")
