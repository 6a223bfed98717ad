"""Which bytes are the answer to a webhook, and which status it has, however broken the rest is."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.servers.certificates import Certificates
from tests.servers.talk import talking

from duly import Rejected, TransportError, TransportUnavailable
from duly.transport import Envelope
from duly_webhook import WebhookTransport
from duly_webhook.plugin import transport_from_url

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def envelope(payload: bytes = b"x") -> Envelope:
    return Envelope(
        message_id="a",
        event_name="b",
        payload=payload,
        scheduled_at=datetime(2030, 1, 1, tzinfo=UTC),
    )


def at(port: int, **options: Any) -> WebhookTransport:
    return WebhookTransport(f"http://127.0.0.1:{port}/hook", allow_private=True, **options)


async def request(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request; its length is 1."""
    await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(1)


class TwiceTold:
    """A receiver that says something unasked on its first connection, once its answer is out."""

    def __init__(self, unasked: bytes) -> None:
        self.unasked = unasked
        self.got: list[bytes] = []
        self.connections = 0
        self.asked_for = asyncio.Event()
        self.said = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        first = self.connections == 1
        try:
            while True:
                self.got.append(await request(reader))
                writer.write(OK)
                if first:
                    await self.asked_for.wait()
                    writer.write(self.unasked)
                    await writer.drain()
                    self.said.set()
                    first = False
        except asyncio.IncompleteReadError:
            self.said.set()


UNASKED = {
    "an answer": OK,
    "a refusal": b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n",
    "half an answer": b"HTTP/1.1 200 OK\r\nContent-",
    "an empty line": b"\r\n",
    "nonsense": b"\xff\x00",
}


@pytest.mark.parametrize("unasked", UNASKED.values(), ids=list(UNASKED))
async def test_what_comes_unasked_is_no_answer(unasked: bytes) -> None:
    receiver = TwiceTold(unasked)
    async with talking(receiver) as port:
        # Of several, so that none is connected to before there is anything to send.
        transport = WebhookTransport(lambda _: f"http://127.0.0.1:{port}/", allow_private=True)
        await transport.open()
        assert await transport.publish(envelope(b"1")) == "200"
        receiver.asked_for.set()
        await receiver.said.wait()
        assert await transport.publish(envelope(b"2")) == "200"
        assert await transport.publish(envelope(b"3")) == "200"
        await transport.close()
        assert receiver.got == [b"1", b"2", b"3"]
        assert receiver.connections == 2


async def test_what_comes_unasked_over_tls(certificates: Certificates) -> None:
    receiver = TwiceTold(OK)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await receiver(reader, writer)
        finally:
            writer.close()

    async with await asyncio.start_server(
        serve, "127.0.0.1", 0, ssl=certificates.server_context()
    ) as server:
        port = server.sockets[0].getsockname()[1]
        transport = transport_from_url(
            f"https://127.0.0.1:{port}/?allow_private=true&tls_ca={certificates.ca}"
        )
        await transport.open()
        assert await transport.publish(envelope(b"1")) == "200"
        receiver.asked_for.set()
        await receiver.said.wait()
        assert await transport.publish(envelope(b"2")) == "200"
        await transport.close()
        assert receiver.got == [b"1", b"2"]
        assert receiver.connections == 2


@pytest.mark.parametrize("unasked", [OK, b""], ids=["an answer", "the end"])
async def test_what_lies_unread_in_the_socket(unasked: bytes) -> None:
    """The loop was busy when it came, and has not looked when the next request is to go."""
    said, got = threading.Event(), []

    def talk(listening: socket.socket) -> None:
        for number in range(2):
            connection = listening.accept()[0]
            with connection, connection.makefile("rb") as lines:
                while line := lines.readline():
                    if line == b"\r\n":
                        got.append(lines.read(1))
                        connection.sendall(OK)
                        break
                if number == 0:
                    connection.sendall(unasked)
                    if not unasked:
                        connection.shutdown(socket.SHUT_WR)
                    said.set()
                    lines.read()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        transport = WebhookTransport(lambda _: f"http://127.0.0.1:{port}/", allow_private=True)
        await transport.open()
        thread = threading.Thread(target=talk, args=(listening,), daemon=True)
        thread.start()
        first = asyncio.ensure_future(transport.publish(envelope(b"1")))
        assert await first == "200"
        said.wait()  # while the loop stands still
        assert await transport.publish(envelope(b"2")) == "200"
        await transport.close()
        await asyncio.to_thread(thread.join)
    assert got == [b"1", b"2"]


# --- the status counts


def answering(said: bytes) -> Callable[[Any, Any], Awaitable[None]]:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            await reader.readuntil(b"\r\n\r\nx")
            writer.write(said)
            await writer.drain()

    return talk


async def answer_to(said: bytes) -> Any:
    """What ``publish`` makes of these bytes."""
    async with talking(answering(said)) as port:
        transport = at(port)
        await transport.open()
        try:
            return await transport.publish(envelope())
        except TransportError as error:
            return error
        finally:
            await transport.close()


def told(status: str, *lines: str, body: bytes = b"") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body


BROKEN = {
    "a body where there is none": (["Content-Length: 2"], b"{}"),
    "an encoding that nobody knows": (["Content-Encoding: br", "Content-Length: 1"], b"\xff"),
    "another encoding than said": (["Content-Encoding: gzip", "Content-Length: 2"], b"{}"),
    "many headers": ([f"X-{n}: 1" for n in range(500)], b""),
    "a long header": ([f"X: {'x' * 100_000}"], b""),
    "a header that is none": (["no header"], b""),
    "two lengths": (["Content-Length: 1", "Content-Length: 2"], b"{}"),
    "a length that is none": (["Content-Length: many"], b"{}"),
    "chunks that are none": (["Transfer-Encoding: chunked"], b"{}"),
    "a transfer that nobody knows": (["Transfer-Encoding: br"], b"{}"),
    "a cookie that is none": (["Set-Cookie: \x01=", "Content-Length: 0"], b""),
    "less than announced": (["Content-Length: 1000"], b"{}"),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=list(BROKEN))
@pytest.mark.parametrize("status", ["204 No Content", "200 OK"])
async def test_accepted_however_broken_the_rest(
    status: str, broken: tuple[list[str], bytes]
) -> None:
    lines, body = broken
    assert await answer_to(told(status, *lines, body=body)) == status[:3]


async def test_refused_however_broken_the_rest() -> None:
    lines, body = BROKEN["a header that is none"]
    never = await answer_to(told("410 Gone", *lines, body=body))
    assert type(never) is Rejected
    assert "/hook answered 410" in str(never)
    later = await answer_to(told("503 Busy", *lines, body=body))
    assert type(later) is TransportError


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (["HTTP/1.1 103 Early Hints\r\nLink: </a>"], "204 No Content"),
        (["HTTP/1.1 100 Continue", "HTTP/1.1 102 Processing\r\nX: 1"], "200 OK"),
    ],
)
async def test_announced_before(first: list[str], last: str) -> None:
    start = "".join(f"{head}\r\n\r\n" for head in first).encode()
    assert await answer_to(start + told(last, "Content-Length: 0")) == last[:3]
    assert await answer_to(start + told(last, "no header")) == last[:3]
    assert type(await answer_to(start + told("410 Gone", "no header"))) is Rejected


@pytest.mark.parametrize(
    "said", [b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nX: 1\r\n", b"200 OK\r\n"]
)
async def test_no_whole_head_is_no_answer(said: bytes) -> None:
    assert isinstance(await answer_to(said), TransportError)


# --- sending has its time as well


async def test_a_receiver_that_stops_reading() -> None:
    hung_up = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # sockets' have it
            await timed_out.wait()
            writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
            while await reader.read(2**20):
                pass
            hung_up.set()

    timed_out = asyncio.Event()
    async with talking(talk) as port:
        transport = at(port, timeout=timedelta(milliseconds=200))
        await transport.open()
        with pytest.raises(TransportError, match="in time") as told_then:
            await transport.publish(envelope(bytes(2**25)))
        assert type(told_then.value) is TransportError
        timed_out.set()
        await asyncio.wait_for(hung_up.wait(), 20)  # the rest is not kept for it
        await transport.close()


async def test_a_publish_that_is_cancelled_while_it_sends() -> None:
    begun, cancelled, hung_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readline():
            begun.set()
            await cancelled.wait()
            try:
                while await reader.read(2**20):
                    pass
            finally:
                hung_up.set()

    async with talking(talk) as port:
        transport = at(port)
        await transport.open()
        publish = asyncio.ensure_future(transport.publish(envelope(bytes(2**25))))
        await begun.wait()
        publish.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publish
        cancelled.set()
        await asyncio.wait_for(hung_up.wait(), 20)
        await transport.close()


async def test_a_receiver_that_accepts_and_hangs_up_is_an_outage_at_once() -> None:
    """As a proxy does that has nobody behind it: each publish connects once."""
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.close()

    async with talking(hang_up) as port:
        transport = WebhookTransport(f"http://127.0.0.1:{port}/", allow_private=True)
        publishes = [transport.publish(envelope(b"1")) for _ in range(30)]
        with contextlib.suppress(TransportUnavailable):
            await transport.open()
        outcomes = await asyncio.gather(*publishes, return_exceptions=True)
        await transport.close()
        assert {type(each) for each in outcomes} == {TransportUnavailable}
        assert connections <= 31
