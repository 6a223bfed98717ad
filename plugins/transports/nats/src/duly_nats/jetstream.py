"""JetStream: a stream says when it has stored a message, and drops repeats."""

import asyncio
import contextlib
import itertools
import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import nats.errors
from nats.aio.msg import Msg

from duly.errors import InvalidArgument, TransportError, TransportUnavailable
from duly.transport import Envelope
from duly_nats.connection import Connection
from duly_nats.errors import NoStreamError, StrangerError, stored_by
from duly_nats.streams import look_at, streams_on
from duly_nats.transport import ServersTransport
from duly_nats.unconfirmed import Answer

__all__ = ["JetStreamConnection", "JetStreamTransport"]

_API: Final = "$JS.API."
_QUESTION: Final = "q"  # how the names of questions begin, beside the numbers of messages
_SUBJECTS: Final = 10_000  # subjects that are remembered
_SHOWN: Final = 10  # flaws that are shown
_PASSING: Final = 1.0  # seconds between two checks of streams that may cease to keep messages
_AGAIN: Final = 0.1  # seconds, so that a thousand messages do not ask one after the other
_STREAM: Final = re.compile(r"[^\s.*>/\\]{1,255}")


class JetStreamConnection(Connection):
    """Each message asks for an answer of its own, which its stream gives when it is stored.

    ``stream`` is the only one that may take messages; ``subject`` is that of all messages, if all
    have the same.
    """

    def __init__(self, place: str, *, stream: str | None, subject: str | None, **more: Any) -> None:
        super().__init__(place, **more)
        self._numbers = itertools.count()
        self._inbox = ""
        self._stream = stream
        self._subject = subject
        self._sound: set[str] = set()  # streams that keep what they take
        self._passing: set[str] = set()  # of them, those that may cease to: checked repeatedly
        self._looked: set[str] = set()  # subjects whose streams keep what they take
        self._flaw: dict[str, TransportError] = {}  # by subjects
        self._when: dict[str, float] = {}  # loop time of the last look, by subjects
        self._trusting = False  # whether this user has no right to ask
        self._stranger = ""
        self._vetting: set[asyncio.Task[None]] = set()

    async def send(
        self, subject: str, payload: bytes, headers: Mapping[str, str] | None = None
    ) -> Answer:
        if subject not in self._looked:
            await self._look_at(subject)
        return await self._request(str(next(self._numbers)), subject, payload, headers=headers)

    async def explain(self, error: TransportError, subject: str) -> TransportError:
        if isinstance(error, NoStreamError):
            if await self._once("serving", self._serving):
                return TransportError(f"{self.place}: no stream listens on {subject} (yet)")
            absent = f"{self.place}: JetStream is not enabled, or not up yet"
            return TransportUnavailable(self.lost() or absent)
        return await super().explain(error, subject)

    async def flaws(self) -> Sequence[str]:
        found = []
        with contextlib.suppress(TransportUnavailable):  # lost meanwhile; others report that
            for stream in sorted(self._sound):
                if (flaw := await self._flaw_of(stream)) is not None:
                    found.append(str(flaw))
                    self._sound.discard(stream)
                    self._looked.clear()  # nothing more is published there
                    self._when.clear()
            for subject in list(self._flaw)[:_SHOWN]:
                await self._find(subject)
            found += [str(each) for each in self._flaw.values()]
        return list(dict.fromkeys(found))[:_SHOWN]

    def _why(self) -> str:
        return super()._why() or (f" ({self._stranger})" if self._stranger else "")

    async def _start(self) -> None:
        self._inbox = self.client.new_inbox() + "."
        await self.client.subscribe(self._inbox + "*", cb=self._take)
        if self._subject is not None or self._stream is not None:
            await self._look_at(self._subject or "")

    async def _take(self, answer: Msg) -> None:
        name = answer.subject.removeprefix(self._inbox)
        if name.startswith(_QUESTION):
            self.waiting.answer(name, answer.data.decode(errors="replace"))
            return
        try:
            stream, number = stored_by(answer)
        except StrangerError as error:
            self._stranger = str(error)
        except TransportError as error:
            self.waiting.answer(name, None, error)
        else:
            if self._believes(stream):
                self.waiting.answer(name, f"{stream}:{number}")
            elif (subject := self.waiting.subject(name)) is not None:
                vetting = asyncio.ensure_future(self._vet(name, subject, stream, number))
                self._vetting.add(vetting)
                vetting.add_done_callback(self._vetting.discard)

    def _believes(self, stream: str) -> bool:
        return stream in self._sound or (self._trusting and self._stream is None)

    async def _vet(self, name: str, subject: str, stream: str, number: int) -> None:
        """Check again: the stream may have been made meanwhile."""
        await self._found(subject)
        if self._believes(stream):
            self.waiting.answer(name, f"{stream}:{number}")
        elif (flaw := self._flaw.get(subject)) is not None:
            self.waiting.answer(name, None, type(flaw)(str(flaw)))
        else:
            self._stranger = (
                f"an answer names the stream {stream[:255]!r}, which does not listen there; "
                "if it belongs to another account, name it: stream=..."
            )

    def _tasks(self) -> Collection[asyncio.Task[Any]]:
        return {*super()._tasks(), *self._vetting}

    async def _look_at(self, subject: str) -> None:
        """Check that the streams of a subject keep what they take.

        Raises:
            TransportUnavailable: the only one there is does not at present.
            TransportError: one of them does not.
        """
        now = asyncio.get_running_loop().time()
        again = _PASSING if self._passing and subject not in self._flaw else _AGAIN
        if now - self._when.get(subject, -again) >= again:
            await self._found(subject)
        if (flaw := self._flaw.get(subject)) is not None:
            raise type(flaw)(str(flaw)) from flaw

    async def _found(self, subject: str) -> None:
        key = f"look {subject}"
        await self._once(key, partial(self._find, subject))
        self._asked.pop(key, None)

    async def _find(self, subject: str) -> bool:
        self._flaw.pop(subject, None)
        for noted in (self._flaw, self._looked, self._when):
            if len(noted) >= _SUBJECTS:
                noted.clear()
        try:
            streams = await self._streams(subject)
            for stream in streams:
                known = stream in self._sound and stream not in self._passing
                if not known and (flaw := await self._flaw_of(stream)) is not None:
                    self._flaw[subject] = flaw
                    self._sound.discard(stream)
                    break
                self._sound.add(stream)
        except TransportUnavailable:  # lost meanwhile; the publish will say so
            return False
        sound = subject not in self._flaw and (streams or self._trusting)
        if sound and self._passing.isdisjoint(streams):
            self._looked.add(subject)
        self._when[subject] = asyncio.get_running_loop().time()
        return True

    async def _streams(self, subject: str) -> Sequence[str]:
        if self._stream is not None:
            return [self._stream]
        found = await streams_on(self._ask, subject)
        self._trusting = found is None
        return found or ()

    async def _flaw_of(self, stream: str) -> TransportError | None:
        varies = self._stream is None and self._subject is None
        vacant = TransportError if varies else TransportUnavailable
        look = await look_at(self._ask, stream, vacant)
        (self._passing.add if look.passes else self._passing.discard)(stream)
        return look.flaw

    async def _ask(self, question: str, /, **said: str) -> Mapping[str, Any] | None:
        name = f"{_QUESTION}{next(self._numbers)}"
        data = json.dumps(said).encode() if said else b""
        try:
            told = json.loads(await (await self._request(name, _API + question, data)) or "")
        except TransportUnavailable:
            raise
        except (TransportError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    async def _request(self, name: str, subject: str, payload: bytes, **more: Any) -> Answer:
        answer = self.waiting.add(name, subject)
        try:
            await self._publish(subject, payload, reply=self._inbox + name, **more)
        except BaseException:
            self.waiting.forget(name)
            raise
        return answer

    async def _serving(self) -> bool:
        try:
            await self.client.request(_API + "INFO", timeout=self._timeout)
        except nats.errors.NoRespondersError:
            return False
        except (nats.errors.Error, OSError):
            pass  # not every user has the right to ask
        return True


class JetStreamTransport(ServersTransport):
    """Publishes to JetStream; accepted is what a stream has stored, its receipt ``stream:number``.

    The delivery id is the message id by which a stream drops repeats, for as long as its
    ``duplicate_window`` says. With ``stream`` no other stream may take the messages. Streams are
    not made: until there is one, deliveries fail and are tried again. The other arguments are
    those of :class:`~duly_nats.transport.ServersTransport`.
    """

    def __init__(
        self, servers: Sequence[str], *, stream: str | None = None, **options: Any
    ) -> None:
        super().__init__(servers, **options)
        if stream is not None and not _STREAM.fullmatch(stream):
            raise InvalidArgument(f"stream: {stream!r} is not the name of a stream")
        self._stream = stream
        self._expected = {} if stream is None else {"Nats-Expected-Stream": stream}

    def _make_connection(self, place: str) -> Connection:
        return JetStreamConnection(
            place,
            stream=self._stream,
            subject=None if self._subjects.varies else self._subjects(""),
            timeout=self._timeout,
            inbox_prefix=self._inbox_prefix,
        )

    def _headers(self, envelope: Envelope) -> dict[str, str]:
        return super()._headers(envelope) | self._expected
