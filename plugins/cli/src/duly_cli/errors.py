"""What goes wrong, in one line, and the exit code that tells programs."""

from typing import Final

import click

from duly import (
    DulyError,
    InvalidArgument,
    InvalidMessage,
    PartlyScheduled,
    PluginError,
    SchedulerStateError,
    StoreUnavailable,
    TransportUnavailable,
    UnknownScheme,
)

__all__ = ["AWAY", "FAULT", "IN_PART", "REFUSED", "UNHEALTHY", "USAGE", "Refused", "code_of"]

FAULT: Final = 1
"""A mistake of ours."""
USAGE: Final = 2
REFUSED: Final = 3
"""Refused, or not found."""
AWAY: Final = 4
"""The store is away."""
UNHEALTHY: Final = 5
IN_PART: Final = 6
"""Done in part."""

_USAGE: Final = (InvalidArgument, InvalidMessage, UnknownScheme, PluginError)


class Refused(click.ClickException):
    """What was asked for is not done; the text says why and what to do."""

    def __init__(self, text: str, code: int = REFUSED) -> None:
        super().__init__(text)
        self.__dict__["exit_code"] = code  # of the class elsewhere


class ReaderGone(Exception):  # nothing is wrong
    """Who reads what is printed has seen enough."""


def code_of(error: DulyError) -> int:
    """The exit code for an error of duly's."""
    if isinstance(error, PartlyScheduled):
        return IN_PART
    if isinstance(error, StoreUnavailable | TransportUnavailable):
        return AWAY
    if isinstance(error, _USAGE):
        return USAGE
    if isinstance(error, SchedulerStateError):
        return FAULT
    return REFUSED
