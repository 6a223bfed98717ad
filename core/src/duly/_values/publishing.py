"""What workers publish, and how a publish may end."""

import asyncio
from typing import Any, Final, Protocol

from duly._values.error_text import error_text
from duly.errors import TransportError
from duly.transport import Envelope

__all__ = ["Interrupted", "Job", "StillRunning", "TimedOut", "as_error"]

_BY_ITSELF: Final = "the transport cancelled the publish by itself"


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

    def lingers(self, error: Exception) -> None:
        """It has timed out and cannot be stopped: :meth:`finish` is called when it has ended."""
        ...

    def finish(self, receipt: str | None, error: Exception | None) -> None:
        """What became of it; called once at the most."""
        ...


class Interrupted(Exception):  # no error: a publish ended for reasons of our own
    """It was not started or was cut short; nothing is counted against the message.

    ``pause`` is for how many seconds to send it back; ``aside``, whether the store keeps it from
    being claimed at once if there is none.
    """

    def __init__(self, reason: str, pause: float = 0.0, *, aside: bool = False) -> None:
        super().__init__(reason)
        self.pause = pause
        self.aside = aside


class TimedOut(TransportError):
    """The publish took longer than ``publish_timeout``; it was cancelled."""


class StillRunning(asyncio.CancelledError):
    """Raised by a publish that was cancelled while what it called goes on and cannot be stopped.

    ``outcome`` is done when that has ended, with its receipt or error.
    """

    def __init__(self, outcome: "asyncio.Future[Any]") -> None:
        super().__init__("it cannot be stopped and goes on")
        self.outcome = outcome


def as_error(caught: BaseException) -> Exception:
    """What a publish raised, as an Exception: any other BaseException is replaced by one."""
    if isinstance(caught, Exception):
        return caught
    if isinstance(caught, asyncio.CancelledError):
        return TransportError(_BY_ITSELF)
    error = TransportError(error_text(caught))
    error.__cause__ = caught
    return error
