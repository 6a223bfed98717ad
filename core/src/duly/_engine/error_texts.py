"""How errors of deliveries are worded, where the user decides that."""

from collections.abc import Callable

from duly._values.publishing import Job
from duly._values.wording import decide_text
from duly.transport import Envelope

__all__ = ["ErrorText", "TellingJob"]

ErrorText = Callable[[Exception], str]
"""Gives the text of a delivery's error for logs, ``last_error`` and spans."""


class TellingJob:
    """A job whose errors get their text before anybody shows them."""

    __slots__ = ("_decide", "_job", "name")

    def __init__(self, job: Job, decide: ErrorText) -> None:
        self._job = job
        self._decide = decide
        self.name = job.name

    def keep_until(self) -> float:
        return self._job.keep_until()

    def start(self, now: float) -> Envelope | None:
        return self._job.start(now)

    def lingers(self, error: Exception) -> None:
        decide_text(error, self._decide)
        self._job.lingers(error)

    def finish(self, receipt: str | None, error: Exception | None) -> None:
        if error is not None:
            decide_text(error, self._decide)
        self._job.finish(receipt, error)
