"""``duly changes`` and ``duly history ID``: what a store by itself does not keep."""

from typing import Final

import click

from duly_cli.desk import Desk
from duly_cli.verbs import verb

__all__ = ["changes", "history"]

_NOT_KEPT: Final = "Not kept here: {what} is kept by the history plugin alone."


@verb(opens=False)
async def changes(desk: Desk) -> None:
    """What people have changed: not kept by a store alone."""
    desk.say(_NOT_KEPT.format(what="what people did"))


@verb(opens=False)
@click.argument("id")
async def history(desk: Desk, *, id: str) -> None:  # noqa: ARG001  # said, though nothing is kept
    """What became of a message: not kept by a store alone."""
    desk.say(_NOT_KEPT.format(what="what became of messages"))
    desk.say("What is known of one that waits or is dead: duly show ID")
