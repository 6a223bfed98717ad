"""What the command offers to itself: its own sub-commands."""

from collections.abc import Sequence

import click

from duly import hookimpl
from duly_cli.commands import COMMANDS

__all__ = ["duly_commands"]


@hookimpl
def duly_commands() -> Sequence[click.Command]:
    """Offer the sub-commands of this package."""
    return COMMANDS
