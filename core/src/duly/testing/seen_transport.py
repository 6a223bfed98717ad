"""How a process of a simulation publishes; the journal learns what happened there."""

from collections.abc import Awaitable, Callable
from typing import Final

from duly.errors import Postpone
from duly.testing.journal import Journal
from duly.testing.views import Seer
from duly.transport import Envelope, Limits

__all__ = ["LimitedTransport", "Receive", "SeenTransport"]

Receive = Callable[[Envelope], Awaitable[object]]
"""The receiving end of a transport: returns when it has accepted, or raises."""


class SeenTransport:
    """How a process publishes."""

    def __init__(self, process: Seer, receive: Receive, journal: Journal) -> None:
        self._process = process
        self._receive = receive
        self._journal = journal

    async def open(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There is nothing to give back."""

    async def publish(self, envelope: Envelope) -> None:
        process, journal = self._process, self._journal

        async def act() -> None:
            await self._receive(envelope)
            journal.note_publish("accepted", process.name, envelope)

        if process.alive:
            journal.note_publish("begun", process.name, envelope)
        try:
            await process.carry("publish", act)
        except Postpone:
            if process.alive:
                journal.note_publish("put off", process.name, envelope)
            raise
        finally:
            if process.alive:
                journal.note_publish("ended", process.name, envelope)


class LimitedTransport(SeenTransport):
    """One that works at no more than so many publishes of a name."""

    def __init__(self, process: Seer, receive: Receive, journal: Journal, limits: Limits) -> None:
        super().__init__(process, receive, journal)
        self._limits: Final = limits

    def limits(self) -> Limits:
        return self._limits
