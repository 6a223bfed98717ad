"""The sub-commands, each in a file of its name."""

from collections.abc import Sequence
from typing import Final

import click

from duly_cli.commands.cancel import cancel
from duly_cli.commands.changes import changes
from duly_cli.commands.completion import completion
from duly_cli.commands.context import context
from duly_cli.commands.controls import controls
from duly_cli.commands.dead import dead
from duly_cli.commands.doctor import doctor
from duly_cli.commands.events import events
from duly_cli.commands.fire import fire
from duly_cli.commands.health import health
from duly_cli.commands.history import history
from duly_cli.commands.limit import limit
from duly_cli.commands.list import list_
from duly_cli.commands.migrate import migrate
from duly_cli.commands.move import move
from duly_cli.commands.next import next_
from duly_cli.commands.pause import pause
from duly_cli.commands.plugins import plugins
from duly_cli.commands.recover import recover
from duly_cli.commands.replay import replay
from duly_cli.commands.resume import resume
from duly_cli.commands.run import run
from duly_cli.commands.schedule import schedule
from duly_cli.commands.schedulers import schedulers
from duly_cli.commands.series import series
from duly_cli.commands.show import show
from duly_cli.commands.status import status
from duly_cli.commands.upcoming import upcoming
from duly_cli.commands.watch import watch

__all__ = ["COMMANDS"]

COMMANDS: Final[Sequence[click.Command]] = (
    status, show, list_, dead, upcoming, events, series, schedulers, controls, changes, history,
    health, watch, next_, schedule, cancel, move, fire, replay, pause, resume, limit, recover,
    migrate, context, run, plugins, doctor, completion,
)  # fmt: skip
