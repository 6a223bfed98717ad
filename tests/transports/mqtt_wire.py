"""What stands between a publisher and a broker, or poses as one to say what brokers seldom say."""

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from typing import Final, Self

CONNACK, PUBLISH, PUBACK, PUBREC, PUBCOMP, PING, DISCONNECT = 2, 3, 4, 5, 7, 12, 14
_WELCOME: Final = b"\x20\x03\x00\x00\x00"  # by a broker of MQTT 5 without limits


class Listener:
    """Accepts connections on a port of its own; they can be cut."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.connected = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._tasks)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def cut(self) -> None:
        """Cut all connections without a word."""
        for writer in self._writers:
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.connected.set()
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self.serve(reader, writer)
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError


class Wire(Listener):
    """Hands on what is sent either way, but for answers of the kinds in ``swallowed``."""

    def __init__(self, to: int) -> None:
        super().__init__()
        self._to = to
        self.swallowed: Collection[int] = ()
        self.swallowing = asyncio.Event()
        """Set when an answer was swallowed."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.add(back)
        answers = asyncio.create_task(self._answer(there, writer))
        try:
            while data := await reader.read(65536):
                back.write(data)
        finally:
            back.transport.abort()
            self._writers.discard(back)
            await answers

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                kind, packet = await packet_of(there)
                if kind in self.swallowed:
                    self.swallowing.set()
                else:
                    writer.write(packet)
        writer.close()


class Scripted(Listener):
    """Poses as a broker of MQTT 5 that says what a test wants to hear.

    ``answers`` are sent to one PUBLISH after the other, with the number of its packet where there
    are two question marks; then to all as by a broker that accepts with PUBACK.
    """

    def __init__(self, *answers: bytes, welcome: bytes = _WELCOME) -> None:
        super().__init__()
        self._welcome = welcome
        self._answers = list(answers)
        self.hellos: list[bytes] = []
        self.publishes: list[bytes] = []
        self.others: list[int] = []
        self.unanswered = 0
        self.most = 0
        """The most messages that were ever on their way at the same time."""
        self.asked = asyncio.Event()
        """Set when the client wanted to know whether anybody is there."""
        self.some_came = asyncio.Event()
        """Set when there were two at the same time."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, hello = await packet_of(reader)
        self.hellos.append(hello)
        writer.write(self.greet(hello))
        self.unanswered = 0
        while True:
            kind, packet = await packet_of(reader)
            if kind != PUBLISH:
                self.others.append(kind)
                if kind == PING:
                    self.asked.set()
                continue
            self.publishes.append(packet)
            self.unanswered += 1
            self.most = max(self.most, self.unanswered)
            if self.most > 1:
                self.some_came.set()
            await self.answer(writer, id_of(packet))

    def greet(self, hello: bytes) -> bytes:
        return self._welcome

    async def answer(self, writer: asyncio.StreamWriter, id: bytes) -> None:
        answer = self._answers.pop(0) if self._answers else b"\x40\x02??"
        writer.write(answer.replace(b"??", id))
        self.unanswered -= 1


class Hesitant(Scripted):
    """Accepts in the end, when nothing more is coming."""

    def __init__(self, *, welcome: bytes) -> None:
        super().__init__(welcome=welcome)
        self._waiting: list[bytes] = []
        self._later: asyncio.TimerHandle | None = None

    async def answer(self, writer: asyncio.StreamWriter, id: bytes) -> None:
        self._waiting.append(id)
        if self._later is not None:
            self._later.cancel()
        self._later = asyncio.get_running_loop().call_later(0.02, self._accept_all, writer)

    def _accept_all(self, writer: asyncio.StreamWriter) -> None:
        for id in self._waiting:
            writer.write(b"\x40\x02" + id)
        self.unanswered -= len(self._waiting)
        self._waiting.clear()


async def packet_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next packet: its kind, and all of it."""
    head = await reader.readexactly(2)
    while head[-1] & 128:
        head += await reader.readexactly(1)
    length = sum((digit & 127) << (7 * place) for place, digit in enumerate(head[1:]))
    return head[0] >> 4, head + await reader.readexactly(length)


def id_of(packet: bytes) -> bytes:
    """The number of a PUBLISH, two bytes, which stands behind its topic."""
    start = 2
    while packet[start - 1] & 128:
        start += 1
    behind = start + 2 + int.from_bytes(packet[start : start + 2], "big")
    return packet[behind : behind + 2]


def ack(kind: int, code: int, text: str = "") -> bytes:
    """An acknowledgement with a reason code, and a text of the broker's own."""
    said = text.encode()
    reason = b"\x1f" + len(said).to_bytes(2, "big") + said if said else b""
    content = b"??" + bytes((code, len(reason))) + reason
    return bytes((kind << 4, len(content))) + content


def welcome(*properties: bytes, code: int = 0, session: bool = False) -> bytes:
    """A CONNACK with some properties."""
    told = b"".join(properties)
    content = bytes((session, code, len(told))) + told
    return bytes((CONNACK << 4, len(content))) + content


def codes(kind: int, numbers: Sequence[int]) -> Sequence[bytes]:
    """An acknowledgement for each of some reason codes."""
    return [ack(kind, each) for each in numbers]
