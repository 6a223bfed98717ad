"""Messages that are sent and wait to hear that the server has them."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from duly.errors import TransportError, TransportUnavailable
from duly_nats.errors import NoAnswerError

__all__ = ["Answer", "Waiting"]

_LOOK: Final = 0.05  # seconds between two checks of the connection and the time

Answer = asyncio.Future[str | None]


class _Sent(NamedTuple):
    answer: Answer
    subject: str
    until: float  # loop time


class Waiting:
    """Each gets an outcome: its answer, a refusal, a timeout, or the loss of the connection.

    The client library tells nobody when a connection is lost, so it is checked now and then as
    long as anybody waits.
    """

    def __init__(self, timeout: float, lost: Callable[[], str | None]) -> None:
        self._timeout = timeout
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._sent: dict[str, _Sent] = {}  # in the order in which they were sent
        self._timer: asyncio.TimerHandle | None = None

    def add(self, name: str, subject: str) -> Answer:
        """The future for the answer under that name."""
        answer: Answer = self._loop.create_future()
        self._sent[name] = _Sent(answer, subject, self._loop.time() + self._timeout)
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK, self._look)
        return answer

    def forget(self, name: str) -> None:
        """The message was not sent after all."""
        self._sent.pop(name, None)

    def subject(self, name: str) -> str | None:
        """The subject it was sent to; None if nobody waits any more."""
        sent = self._sent.get(name)
        return None if sent is None else sent.subject

    def answer(self, name: str, receipt: str | None, error: Exception | None = None) -> None:
        """The answer has come."""
        sent = self._sent.pop(name, None)
        if sent is not None:
            _tell(sent, receipt, error)

    def refuse(self, subject: str, reason: str) -> None:
        """The server takes nothing for this subject; upper and lower case are not told apart."""
        for name in [name for name, sent in self._sent.items() if sent.subject.lower() == subject]:
            self.answer(name, None, TransportError(reason))

    def fail(self, reason: str) -> None:
        """The connection is lost."""
        self._give_up(list(self._sent), TransportUnavailable, reason)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if (reason := self._lost()) is not None:
            self.fail(reason)
            return
        now, late = self._loop.time(), []
        for name, sent in self._sent.items():
            if sent.until > now:
                break
            late.append(name)
        self._give_up(late, NoAnswerError, f"no answer within {self._timeout:g} s")
        if self._sent:
            self._timer = self._loop.call_later(_LOOK, self._look)

    def _give_up(self, names: Iterable[str], kind: type[TransportError], reason: str) -> None:
        for name in names:
            self.answer(name, None, kind(reason))


def _tell(sent: _Sent, receipt: str | None, error: Exception | None) -> None:
    if sent.answer.done():  # its publish was cancelled
        return
    if error is None:
        sent.answer.set_result(receipt)
    else:
        sent.answer.set_exception(error)
        sent.answer.exception()  # its publish may be cancelled before it looks: nothing to log
