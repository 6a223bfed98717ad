"""Certificates that are renewed while a transport is open: files are read anew."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
from tests.servers.certificates import Certificates
from tests.servers.kafka import MockKafka
from tests.servers.mqtt import mqtt_url
from tests.servers.process import free_port
from tests.servers.rabbitmq import port_of, rabbitmq_url
from tests.servers.redis import redis_url
from tests.transports.envelopes import envelope

from duly import Rejected, TransportUnavailable
from duly.testing import Gate
from duly.transport import Transport
from duly_kafka.plugin import transport_from_url as kafka
from duly_mqtt.plugin import transport_from_url as mqtt
from duly_rabbitmq.plugin import transport_from_url as rabbitmq
from duly_redis_streams.plugin import stream_from_url as redis

__all__ = ["mqtt_url", "rabbitmq_url", "redis_url"]  # fixtures are found by their names


class Broker(NamedTuple):
    """Where a broker is, and the URL of a transport to a gate before it."""

    port: int
    url: str
    make: Callable[[str], Transport]
    gate: int = 0


@pytest.fixture(params=["kafka", "mqtt", "rabbitmq", "redis"])
def broker(request: pytest.FixtureRequest) -> Iterator[Broker]:
    match request.param:
        case "kafka":
            with MockKafka(advertised=(port := free_port())) as server:
                server.create(topic := "renewed", 1)
                url = "kafka://127.0.0.1:{port}?tls=true&timeout=3&topic=" + topic
                yield Broker(server.broker, url, kafka, port)
        case "mqtt":
            port = urlsplit(request.getfixturevalue("mqtt_url")).port or 1883
            url = "mqtts://127.0.0.1:{port}?unmatched=accept&topic=duly/renewed"
            yield Broker(port, url, mqtt)
        case "rabbitmq":
            url = "amqps://guest:guest@127.0.0.1:{port}/?exchange=amq.fanout"
            yield Broker(port_of(request.getfixturevalue("rabbitmq_url")), url, rabbitmq)
        case "redis":
            port = urlsplit(request.getfixturevalue("redis_url")).port or 6379
            url = "rediss+stream://127.0.0.1:{port}/?stream=duly-renewed&maxlen=1"
            yield Broker(port, url, redis)


class Files:
    """What a transport reads, as an authority has it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.ca, self.cert, self.key = (folder / name for name in ("ca", "cert", "key"))

    def take(self, made: Certificates) -> None:
        for file, source in ((self.ca, made.ca), (self.cert, made.client.cert)):
            file.write_bytes(source.read_bytes())
        self.key.write_bytes(made.client.key.read_bytes())

    def options(self) -> str:
        return f"&tls_ca={self.ca}&tls_cert={self.cert}&tls_key={self.key}"


@pytest.fixture
def authorities(tmp_path: Path) -> list[Certificates]:
    made = []
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        made.append(Certificates(tmp_path / name))
    return made


async def goes_on(transport: Transport) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await transport.open()
                await transport.publish(envelope())
            except TransportUnavailable:
                await asyncio.sleep(0.05)
            except Rejected:  # by a broker that has let us in
                return
            else:
                return


async def test_renewed_certificates_are_used(broker, authorities, tmp_path):
    old, new = authorities
    files = Files(tmp_path / "files")
    files.take(old)
    gate = Gate(broker.port, port=broker.gate, tls=old.server_context(ask=True))
    async with gate:
        transport = broker.make(broker.url.format(port=gate.port) + files.options())
        await goes_on(transport)
    async with Gate(broker.port, port=gate.port, tls=new.server_context(ask=True)):
        for file in (files.ca, files.key):  # as one that is written just now
            file.write_text("")
        with pytest.raises(TransportUnavailable):
            for _ in range(2):
                await transport.publish(envelope())
        files.take(new)
        await goes_on(transport)
        await transport.close()
