"""A small broker and a right transport for it, to try the conformance cases on."""

import asyncio
import base64
import contextlib
import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import attrs

from duly.errors import InvalidMessage, Rejected, TransportUnavailable
from duly.reading import envelope_from
from duly.testing.transports import Received
from duly.transport import Envelope

LINE_LIMIT = 4 * 1024 * 1024


class Postbox:
    """A broker on a port of its own: takes lines of JSON, answers each with a receipt or a no."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self._read: list[Received] = []
        self.port = 0
        self._known: set[str] = set()
        self._arrival = asyncio.Condition()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=LINE_LIMIT
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            loop = asyncio.get_running_loop()
            for listener in self._server.sockets:
                loop.remove_reader(listener.fileno())
            for writer in self._writers:
                writer.transport.abort()
            for _ in range(5):  # a server that closes forgets whom it has just accepted
                await asyncio.sleep(0)
            self._server.close()
            for writer in self._writers:
                writer.transport.abort()
            await self._server.wait_closed()

    async def wait_for(self, number: int) -> Sequence[Received]:
        async with self._arrival:
            await self._arrival.wait_for(lambda: len(self.received) >= number)
        self._read += map(_read, self.received[len(self._read) :])
        return list(self._read)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._take(json.loads(line))).encode() + b"\n")
        except (OSError, ValueError):
            pass  # cut off in the middle
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _take(self, record: dict[str, Any]) -> dict[str, str]:
        if record["name"] is None:
            return {"receipt": "here"}
        payload = base64.b64decode(record["payload"])
        if payload.startswith(b"unacceptable"):
            return {"refused": "the broker has no room for such a thing"}
        if record["delivery_id"] not in self._known:
            self._known.add(record["delivery_id"])
            got = Received(event_name=record["name"], payload=payload, headers=record["headers"])
            async with self._arrival:
                self.received.append(got)
                self._arrival.notify_all()
        return {"receipt": f"{len(self.received)}-{record['number']}"}


def _read(got: Received) -> Received:
    """With the envelope that a consumer makes of it; without where a bug left nothing to read."""
    with contextlib.suppress(InvalidMessage):
        read = envelope_from(got.headers, event_name=got.event_name, payload=got.payload)
        return attrs.evolve(got, envelope=read)
    return got


class PostboxTransport:
    """One connection; what is sent waits in line for its answer."""

    finders: ClassVar[Sequence[tuple[str, dict[str, Any]]]] = ()
    """Of one with a planted bug, the cases that have to find it, and their arguments."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        self._password = password
        self._opening = asyncio.Lock()
        self._writer: asyncio.StreamWriter | None = None
        self._answers: asyncio.Task[None] | None = None
        self._waiting: list[asyncio.Future[str | None]] = []
        self._sent = 0

    async def open(self) -> None:
        async with self._opening:
            if self._writer is not None:
                return
            try:
                reader, self._writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, limit=LINE_LIMIT
                )
            except OSError as error:
                raise TransportUnavailable(f"nobody at port {self._port}: {error}") from error
            self._answers = asyncio.create_task(self._listen(reader))

    async def close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.transport.abort()  # a broker that takes nothing more would be waited for
        if self._answers is not None:
            await asyncio.wait([self._answers])
            self._answers = None

    async def publish(self, envelope: Envelope) -> str | None:
        return await self._send(envelope)

    async def publish_many(self, envelopes: Sequence[Envelope]) -> Sequence[Any]:
        answers = [self._send(envelope) for envelope in envelopes]
        if answers:
            await asyncio.wait(answers)
        return [answer.exception() or answer.result() for answer in answers]

    async def check(self) -> Sequence[str]:
        try:
            await self._ask({"name": None})
        except TransportUnavailable as error:
            return [str(error)]
        return []

    def record(self, envelope: Envelope) -> dict[str, Any]:
        """What goes over the line; here bugs are planted."""
        return {
            "name": envelope.event_name,
            "payload": base64.b64encode(envelope.payload).decode(),
            "headers": dict(envelope.headers),
            "delivery_id": envelope.delivery_id,
        }

    def _send(self, envelope: Envelope) -> asyncio.Future[str | None]:
        return self._ask(self.record(envelope))

    def _ask(self, question: dict[str, Any]) -> asyncio.Future[str | None]:
        answer = asyncio.get_running_loop().create_future()
        if self._writer is None or self._writer.is_closing():
            answer.set_exception(TransportUnavailable("not connected"))
        else:
            self._sent += 1
            record = {**question, "number": self._sent}
            self._writer.write(json.dumps(record).encode() + b"\n")
            self._waiting.append(answer)
        return answer

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._answer(self._waiting.pop(0), json.loads(line))
        except (OSError, IndexError):
            pass  # cut off, or answered without having asked, which a bug may bring about
        waiting, self._waiting = self._waiting, []
        for answer in waiting:
            self._fail(answer, TransportUnavailable("the connection was lost"))
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _answer(self, answer: asyncio.Future[str | None], told: dict[str, str]) -> None:
        if answer.done():
            return
        if "refused" in told:
            answer.set_exception(Rejected(told["refused"]))
        else:
            answer.set_result(told["receipt"])

    def _fail(self, answer: asyncio.Future[str | None], error: Exception) -> None:
        if not answer.done():
            answer.set_exception(error)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at port {self._port}>"


def found_by(
    case: str, **arguments: Any
) -> Callable[[type[PostboxTransport]], type[PostboxTransport]]:
    """Decorates a transport with a bug that a case, given these arguments, has to find."""

    def plant(kind: type[PostboxTransport]) -> type[PostboxTransport]:
        kind.finders = [*kind.finders, (case, arguments)]
        return kind

    return plant
