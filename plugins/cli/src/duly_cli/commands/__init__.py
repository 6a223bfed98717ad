"""The sub-commands, each in a file of its name."""

from collections.abc import Sequence
from typing import Final

import click

from duly_cli.commands.doctor import doctor
from duly_cli.commands.list import list_
from duly_cli.commands.plugins import plugins
from duly_cli.commands.run import run
from duly_cli.commands.show import show
from duly_cli.commands.status import status

__all__ = ["COMMANDS"]

COMMANDS: Final[Sequence[click.Command]] = (status, show, list_, run, plugins, doctor)
