"""``duly dead``: the dead letters."""

import click

from duly_cli.commands.dead_acts import purge, replay

__all__ = ["dead"]

dead = click.Group(
    name="dead", invoke_without_command=True, commands=[replay, purge], help="The dead letters."
)
