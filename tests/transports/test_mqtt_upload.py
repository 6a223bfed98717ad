"""A message that takes longer than a broker may be silent, over a wire as slow as the test likes."""

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from tests.servers.certificates import Certificates
from tests.servers.mqtt import Mosquitto
from tests.transports.envelopes import envelope
from tests.transports.mqtt_wire import Listener
from tests.transports.test_mqtt_answers import opened

from duly import TransportUnavailable
from duly_mqtt import upload
from duly_mqtt.connection import Connection

LOOKS = 6  # more than a silent broker is given
QUERY = "topic=x/y&unmatched=accept&keepalive=3600"  # so long that the test alone looks


class Narrow(Listener):
    """Hands on what is sent either way; once narrowed, to the broker a little when it is told."""

    def __init__(self, to: int) -> None:
        super().__init__()
        self._to = to
        self._narrow = False
        self._some = asyncio.Event()

    def narrow(self) -> None:
        self._narrow = True

    def let_some_pass(self) -> None:
        self._some.set()

    def widen(self) -> None:
        self._narrow = False
        self._some.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        told: socket.socket = writer.get_extra_info("socket")
        told.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**14)
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.add(back)
        answers = asyncio.create_task(self._hand_on(there, writer))
        try:
            while data := await reader.read(2**16):
                back.write(data)
                if self._narrow:
                    await self._some.wait()
                    self._some.clear()
        finally:
            back.transport.abort()
            self._writers.discard(back)
            await answers

    async def _hand_on(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await there.read(2**16):
                writer.write(data)
        writer.close()


@asynccontextmanager
async def uploading(
    server: Mosquitto, query: str, scheme: str, size: int
) -> AsyncIterator[tuple[Narrow, Connection, asyncio.Future[None]]]:
    """A publish that has come as far as the narrow wire lets it."""
    async with Narrow(server.port) as wire:
        url = wire.url.replace("mqtt", scheme, 1)
        async with opened(url, f"{QUERY}&{query}") as transport, asyncio.timeout(30):
            connection = transport._connection
            assert connection is not None
            wire.narrow()
            publish = asyncio.ensure_future(transport.publish(envelope(payload=bytes(size))))
            while not connection._upload().waits:  # noqa: ASYNC110  # a kernel tells nobody
                await asyncio.sleep(0.001)
            try:
                yield wire, connection, publish
            finally:
                wire.widen()


async def look_while_it_goes_on(wire: Narrow, connection: Connection) -> None:
    for _ in range(LOOKS):
        before = connection._upload()
        assert before.waits
        while not connection._upload().since(before):
            wire.let_some_pass()
            await asyncio.sleep(0.001)
        connection._keepalive.look()
    assert connection.alive


async def succeeds(server: Mosquitto, query: str, scheme: str, size: int) -> None:
    async with uploading(server, query, scheme, size) as (wire, connection, publish):
        await look_while_it_goes_on(wire, connection)
        wire.widen()
        await publish
        assert wire.connections == 1


@pytest.mark.skipif(
    sys.platform != "linux", reason="Linux is missing, whose TCP tells how far it is"
)
class TestByAccountOfTCP:
    async def test_a_broker_that_takes_it_in_is_there(self):
        with Mosquitto() as server:
            await succeeds(server, "qos=1", "mqtt", 2**22)

    async def test_so_is_one_over_tls(self, certificates: Certificates):
        cert, key = certificates.server
        with Mosquitto(f"certfile {cert}", f"keyfile {key}") as server:
            await succeeds(server, f"qos=1&tls_ca={certificates.ca}", "mqtts", 2**22)

    async def test_one_that_stops_is_not(self):
        with Mosquitto() as server:
            async with uploading(server, "qos=1", "mqtt", 2**22) as (wire, connection, publish):
                await look_while_it_goes_on(wire, connection)
                while connection.alive:
                    connection._keepalive.look()
                    await asyncio.sleep(0.01)
                with pytest.raises(TransportUnavailable, match="the broker has been silent"):
                    await publish


async def test_by_what_asyncio_holds_back(monkeypatch: pytest.MonkeyPatch):
    """Where TCP gives no account; larger than what a kernel takes at once."""
    monkeypatch.setattr(upload, "_TCP_INFO", 0)
    with Mosquitto() as server:
        await succeeds(server, "qos=1", "mqtt", 2**25)
