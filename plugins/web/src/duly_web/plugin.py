"""What this package offers to the command ``duly``."""

from collections.abc import Sequence

import click

from duly import hookimpl
from duly_web.command import web

__all__ = ["duly_commands"]


@hookimpl
def duly_commands() -> Sequence[click.Command]:
    """Offer ``duly web``."""
    return [web]
