"""How long the server works on one statement of ours, and waits for what others hold."""

from datetime import timedelta
from typing import Final

__all__ = ["BRIEF", "Limits"]

_USUAL: Final = timedelta(seconds=10)  # for which callers wait, unless known otherwise
_STATEMENT: Final = 0.9  # of the time that a caller waits: the server stops before that is over
_LOCK: Final = 0.6
_LONGEST: Final = 2**31 - 1  # milliseconds, the largest value of a setting
_SET: Final = (
    "SELECT set_config('statement_timeout', '{}', false), set_config('lock_timeout', '{}', false)"
)
BRIEF: Final = timedelta(milliseconds=250)
"""For locks that others mostly hold only for a moment."""


class Limits:
    """The settings of one connection, in milliseconds, by how long callers wait for an answer.

    At first it waits only for what is held for a moment. Without a ``time_limit`` statements take
    as long as they take.
    """

    def __init__(self, time_limit: timedelta | None, brief_wait: timedelta = BRIEF) -> None:
        patient = _milliseconds(_LOCK * (time_limit or _USUAL))
        brief = min(patient, _milliseconds(brief_wait))
        self.statement: Final = 0 if time_limit is None else _milliseconds(_STATEMENT * time_limit)
        self.lock: Final = brief
        self.begin: Final = _SET.format(self.statement, brief)
        """A statement that makes these the settings of a connection; :attr:`end` unsets them."""
        self.end: Final = _SET.format(0, 0)
        self.of_transaction: Final = (
            " ISOLATION LEVEL READ COMMITTED"
            f"; SET LOCAL statement_timeout = {self.statement}; SET LOCAL lock_timeout = {brief}"
        )
        """The text after ``BEGIN`` that makes these the settings of a transaction."""
        self.patient: Final = patient

    def within(self, wait: timedelta | None = None) -> str:
        """A statement for the rest of a transaction: how long to wait for locks of others."""
        longest = self.patient if wait is None else min(self.patient, _milliseconds(wait))
        return f"SELECT set_config('lock_timeout', '{longest}', true)"


def _milliseconds(duration: timedelta) -> int:
    return min(max(1, duration // timedelta(milliseconds=1)), _LONGEST)
