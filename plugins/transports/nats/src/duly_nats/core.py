"""Core NATS: nothing is acknowledged, so the most that can be known is that the server read it."""

import asyncio
import itertools
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from duly_nats.connection import Connection
from duly_nats.transport import ServersTransport
from duly_nats.unconfirmed import Answer

__all__ = ["CoreConnection", "NatsTransport"]

log = logging.getLogger("duly.nats")


class CoreConnection(Connection):
    """A message counts as sent once the server has answered a PING that came after it.

    One PING serves all that were sent before. It also shows, in time, what the server refuses and
    when it is gone.
    """

    def __init__(self, place: str, **options: Any) -> None:
        super().__init__(place, **options)
        self._numbers = itertools.count()
        self._unread: list[str] = []
        self._reading: asyncio.Task[None] | None = None

    async def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        name = str(next(self._numbers))
        await self._publish(subject, payload, headers=headers)
        answer = self.waiting.add(name, subject)
        self._unread.append(name)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self._read())
        return answer

    def _tasks(self) -> Collection[asyncio.Task[Any]]:
        own = super()._tasks()
        return own if self._reading is None else {*own, self._reading}

    async def _read(self) -> None:
        while names := self._unread:
            self._unread = []
            # The library writes a PING at once, before the messages that it keeps in its buffer.
            pause = 0.0
            while self.client.pending_data_size and self.lost() is None:
                await asyncio.sleep(pause)
                pause = 0.001
            if not await self._ping():
                return
            for name in names:
                self.waiting.answer(name, None)


class NatsTransport(ServersTransport):
    """Publishes to core NATS, WHICH ACKNOWLEDGES NOTHING: messages can be lost.

    A publish returns when the server has read the message. A consumer that does not listen at that
    moment never gets it, and nobody is told; there is no receipt, and a repeat is not dropped. Take
    :class:`~duly_nats.JetStreamTransport` for what must arrive. The arguments are those of
    :class:`~duly_nats.transport.ServersTransport`.
    """

    _warned = False

    async def open(self) -> None:
        if not self._warned:
            self._warned = True
            with suppress(Exception):  # a log handler that raises is no reason to stay closed
                log.warning(
                    "nats:// acknowledges nothing: a message that nobody listens to is lost; "
                    "jetstream:// keeps it"
                )
        await super().open()

    def _make_connection(self, place: str) -> Connection:
        return CoreConnection(place, timeout=self._timeout, inbox_prefix=self._inbox_prefix)
