"""What workers publish, and how a publish may end."""

from typing import Final, Protocol

from duly.errors import TransportError
from duly.transport import Envelope

__all__ = ["BY_ITSELF", "Interrupted", "Job", "TimedOut", "error_of"]

BY_ITSELF: Final = "the transport cancelled the publish by itself"


class Job(Protocol):
    """One claimed message on its way out."""

    name: str
    """The event name."""

    def keep_until(self) -> float:
        """Until when, in loop time, its claim is certain: no publish lasts beyond."""
        ...

    def start(self, now: float) -> Envelope | None:
        """The envelope, at its turn. None: not to be published after all; it is finished then."""
        ...

    def finish(self, receipt: str | None, error: Exception | None) -> None:
        """What became of it; called once at the most."""
        ...


class Interrupted(Exception):  # no error: a publish ended for reasons of our own
    """It was not started or was cut short; nothing is counted against the message.

    ``pause`` is for how many seconds to send it back.
    """

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class TimedOut(TransportError):
    """The publish took longer than ``publish_timeout``; it was cancelled."""


def error_of(outcome: object) -> Exception | None:
    """The error of a message published among others; None for a receipt."""
    if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
        return TransportError(BY_ITSELF)  # gather() returns a CancelledError like any other
    return outcome if isinstance(outcome, Exception) else None
