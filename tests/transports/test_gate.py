"""The door before a server that tests shut, freeze, delay and cut."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from ssl import create_default_context

import pytest

from duly.testing import Gate


@contextlib.asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """The port of a server that answers with what it is told."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1000):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


class Line:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, text: bytes) -> bytes:
        self.writer.write(text)
        return await self.reader.readexactly(len(text))

    async def ended(self) -> bytes:
        """What still comes until the other side ends it."""
        async with asyncio.timeout(10):
            return await self.reader.read()


@contextlib.asynccontextmanager
async def line(port: int, **more) -> AsyncIterator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **more)
    try:
        yield Line(reader, writer)
    finally:
        writer.close()


async def counted(gate: Gate, number: int) -> None:
    """Wait until so many connections are open."""
    async with asyncio.timeout(10):
        while gate.connections != number:  # noqa: ASYNC110  # a thread counts them
            await asyncio.sleep(0.001)


async def test_it_passes_all_on():
    async with echoing() as port, Gate(port) as gate:
        large = bytes(range(256)) * 4000
        async with line(gate.port) as client, line(gate.port) as other:
            assert await client.ask(large) == large
            assert await other.ask(b"hello") == b"hello"
            assert (gate.accepted, gate.connections) == (2, 2)
            assert gate.passed == 2 * (len(large) + 5)
        await counted(gate, 0)
        assert gate.accepted == 2


async def test_shut_it_refuses_and_ends_what_is_open():
    async with echoing() as port, Gate(port) as gate:
        async with line(gate.port) as client:
            assert await client.ask(b"hello") == b"hello"
            await gate.shut()
            assert gate.connections == 0
            assert await client.ended() == b""
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                async with line(gate.port):
                    pass
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", gate.port))  # it keeps its place
        await gate.open()
        async with line(gate.port) as client:
            assert await client.ask(b"again") == b"again"


async def test_cut_it_resets_and_takes_new_ones():
    async with echoing() as port, Gate(port) as gate:
        async with line(gate.port) as client:
            assert await client.ask(b"hello") == b"hello"
            await gate.cut()
            with pytest.raises(ConnectionResetError):
                await client.ended()
        async with line(gate.port) as client:
            assert await client.ask(b"again") == b"again"


async def test_frozen_it_accepts_and_nobody_answers():
    async with echoing() as port, Gate(port) as gate:
        async with line(gate.port) as old:
            assert await old.ask(b"hello") == b"hello"
            gate.freeze()
            async with line(gate.port) as new:
                passed = gate.passed
                answers = [asyncio.ensure_future(each.ask(b"more")) for each in (old, new)]
                done, _ = await asyncio.wait(answers, timeout=0.1)
                assert not done
                assert gate.passed == passed
                gate.thaw()
                assert await asyncio.gather(*answers) == [b"more", b"more"]


@pytest.mark.parametrize("way", ["cut", "shut"])
async def test_what_was_held_back_is_dropped_when_it_is_cut(way):
    heard = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1000):
                heard.append(data)
                writer.write(b"yes")
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        async with Gate(server.sockets[0].getsockname()[1]) as gate, line(gate.port) as client:
            client.writer.write(b"first")
            assert await client.reader.readexactly(3) == b"yes"
            gate.freeze()
            client.writer.write(b"second")
            await client.writer.drain()
            await getattr(gate, way)()
            await gate.open()
            async with line(gate.port) as other:
                other.writer.write(b"third")
                assert await other.reader.readexactly(3) == b"yes"
    assert heard == [b"first", b"third"]


async def test_delayed():
    async with echoing() as port, Gate(port) as gate, line(gate.port) as client:
        gate.delay = timedelta(milliseconds=50)
        start = time.monotonic()
        assert await client.ask(b"hello") == b"hello"
        assert time.monotonic() - start >= 0.1  # there and back


async def test_before_a_server_that_is_away_connections_end():
    async with echoing() as port:
        pass
    async with Gate(port) as gate, line(gate.port) as client:
        assert await client.ended() == b""
        await counted(gate, 0)


async def test_the_port_it_is_given():
    async with echoing() as port, Gate(port) as first:
        number = first.port
        with pytest.raises(OSError, match="in use"):
            await Gate(port, port=number).open()
        await first.close()
        async with Gate(port, port=number) as second:
            assert second.port == number
            async with line(number) as client:
                assert await client.ask(b"hello") == b"hello"


async def test_the_server_may_be_told_later():
    async with Gate() as gate, echoing() as port:
        gate.to = port
        async with line(gate.port) as client:
            assert await client.ask(b"hello") == b"hello"


async def test_encrypted_at_its_own_end(certificates):
    own = certificates.server_context()
    theirs = create_default_context(cafile=certificates.ca)
    async with echoing() as port, Gate(port, tls=own) as gate:
        async with line(gate.port, ssl=theirs, server_hostname="127.0.0.1") as client:
            assert await client.ask(b"hello") == b"hello"


async def test_a_client_that_blocks_the_event_loop_is_answered():
    ready, number = threading.Event(), []

    def serve() -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            number.append(listener.getsockname()[1])
            ready.set()
            client, _ = listener.accept()
            with client:
                client.sendall(client.recv(100))

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait(10)
    async with Gate(number[0]) as gate:
        with socket.create_connection(("127.0.0.1", gate.port), timeout=10) as client:
            client.sendall(b"hello")
            assert client.recv(100) == b"hello"
    thread.join()


async def test_nothing_is_left_of_it():
    threads = set(threading.enumerate())
    async with echoing() as port:
        gate = Gate(port)
        await gate.close()
        for _ in range(3):
            await gate.shut()
            await gate.cut()
            gate.thaw()
            async with gate, line(gate.port) as client:
                gate.freeze()
                client.writer.write(b"hello")
        assert set(threading.enumerate()) == threads
        with pytest.raises(ConnectionRefusedError):
            async with line(gate.port):
                pass


def test_it_says_where_it_is():
    assert repr(Gate(5672)) == "Gate(5672, host='127.0.0.1', port=0)"


@pytest.mark.parametrize(
    ("pieces", "how", "answer"),
    [
        (0, "end", b""),
        (1, "end", b""),
        (2, "end", b"12"),
        (3, "reset", b"12"),
        (4, "reset", b"1234"),
        (4, "torn", b"123"),
    ],
)
async def test_cut_once_behind_a_piece(pieces, how, answer):
    async with echoing() as port, Gate(port) as gate, line(gate.port) as first:
        gate.cut_behind(pieces, how)
        assert gate.cutting
        got = b""
        with contextlib.suppress(OSError):
            for text in (b"12", b"34"):
                first.writer.write(text)
                while more := await first.reader.read(len(text)):
                    got += more
                    if len(got) % 2 == 0:
                        break
        assert got == answer
        assert not gate.cutting
        await counted(gate, 0)
        async with line(gate.port) as second:
            assert await second.ask(b"again") == b"again"


async def test_what_is_cut_is_cut_for_all():
    async with echoing() as port, Gate(port) as gate:
        async with line(gate.port) as first, line(gate.port) as second:
            assert await first.ask(b"x") == b"x"
            gate.cut_behind(2)
            assert await second.ask(b"y") == b"y"
            assert await first.ended() == b""
            assert await second.ended() == b""
