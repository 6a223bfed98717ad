"""JetStream: a stream has stored a message when it says so, and drops what it had before."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg

from duly.errors import InvalidArgument, TransportError, TransportUnavailable
from duly.transport import Envelope
from duly_nats.answers import Answer
from duly_nats.connection import Connection
from duly_nats.errors import NoStreamError, receipt_of
from duly_nats.transport import ServersTransport

__all__ = ["JetStreamConnection", "JetStreamTransport"]

_API: Final = "$JS.API.INFO"
_STREAM: Final = re.compile(r"[^\s.*>/\\]{1,255}")


class JetStreamConnection(Connection):
    """Each message asks for an answer of its own, which its stream gives when it is stored."""

    def __init__(self, place: str, **options: Any) -> None:
        super().__init__(place, **options)
        self._numbers = itertools.count()
        self._inbox = ""

    async def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        name = str(next(self._numbers))
        answer = self.waiting.add(name, subject)
        try:
            await self._publish(subject, payload, reply=self._inbox + name, headers=headers)
        except BaseException:
            self.waiting.forget(name)
            raise
        return answer

    async def explain(self, error: TransportError, subject: str) -> TransportError:
        if isinstance(error, NoStreamError):
            if await self._once("serving", self._serving):
                return TransportError(f"{self.place}: no stream listens on {subject} (yet)")
            absent = f"{self.place}: JetStream is not enabled, or not up yet"
            return TransportUnavailable(self.lost() or absent)
        return await super().explain(error, subject)

    async def _start(self) -> None:
        self._inbox = self.client.new_inbox() + "."
        await self.client.subscribe(self._inbox + "*", cb=self._take)

    async def _take(self, answer: Msg) -> None:
        name = answer.subject.removeprefix(self._inbox)
        try:
            self.waiting.answer(name, receipt_of(answer))
        except TransportError as error:
            self.waiting.answer(name, None, error)

    async def _serving(self) -> bool:
        try:
            await self.client.request(_API, timeout=self._timeout)
        except nats.errors.NoRespondersError:
            return False
        except (nats.errors.Error, OSError):
            pass  # not every user may ask
        return True


class JetStreamTransport(ServersTransport):
    """Publishes to JetStream; accepted is what a stream has stored, its receipt ``stream:number``.

    The delivery id is the message id by which a stream drops repeats, for as long as its
    ``duplicate_window`` says. With ``stream`` no other stream may take the messages. Streams are
    not made: until there is one a delivery has failed and is tried again. The other arguments
    are those of :class:`~duly_nats.transport.ServersTransport`.
    """

    def __init__(
        self, servers: Sequence[str], *, stream: str | None = None, **options: Any
    ) -> None:
        super().__init__(servers, **options)
        if stream is not None and not _STREAM.fullmatch(stream):
            raise InvalidArgument(f"stream: {stream!r} is not the name of one")
        self._expected = {} if stream is None else {"Nats-Expected-Stream": stream}

    def _make_connection(self, place: str) -> Connection:
        return JetStreamConnection(place, timeout=self._timeout, inbox_prefix=self._inbox_prefix)

    def _headers(self, envelope: Envelope) -> dict[str, str]:
        return super()._headers(envelope) | self._expected
