"""The Kafka transport is held to the contract, with real consumers of two different brokers."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import pytest_asyncio
from tests.servers.kafka import KafkaServer, MeshKafka, MockKafka, kafka_url
from tests.servers.process import free_port
from tests.servers.proxy import Proxy
from tests.transports.kafka_reader import Reader, understood

from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    ReceiptCases,
    Received,
    TransportHarness,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.transport import Envelope, Transport
from duly_kafka.plugin import transport_from_url

__all__ = ["kafka_url"]  # a fixture is found by its name

LARGEST = 2 * 2**20  # bytes


class KafkaHarness(TransportHarness):
    """One topic for each case; the event name is in a header."""

    url: str
    options = ""
    largest = 1_000_000  # with its headers this is what brokers take by default

    async def listen(self) -> None:
        self.reader = Reader(self.url, self.namespace)
        await self.reader.start()

    async def drop(self) -> None:
        await self.reader.stop()

    async def make_transport(self) -> Transport:
        return transport_from_url(
            f"{self.url}?topic={self.namespace}&max_request_size={LARGEST}{self.options}"
        )

    async def received(self, number: int) -> Sequence[Received]:
        return [understood(record) for record in await self.reader.wait_for(number)]

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(bytes(LARGEST))


class TestKafka(KafkaHarness, BatchRefusalCases, BatchHeaderCases, ReceiptCases, TransportSuite):
    """Every case but those of an outage, on whatever Kafka there is."""

    @pytest.fixture(autouse=True)
    def _server(self, kafka_url: str) -> None:
        self.url = kafka_url


class CutOff(KafkaHarness, BatchOutageCases):
    """A broker that can be reached through a proxy only."""

    kind: type[KafkaServer]

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[tuple[KafkaServer, int]]:
        port = free_port()
        with cls.kind(advertised=port) as server:
            yield server, port

    @pytest_asyncio.fixture(autouse=True, loop_scope="function")
    async def _proxy(self, server: tuple[KafkaServer, int]) -> AsyncIterator[None]:
        broker, port = server
        self.url, self.options = broker.url, broker.options
        async with Proxy(port, broker.broker) as self.proxy:
            yield

    async def break_connection(self) -> None:
        await self.proxy.cut()

    async def restore_connection(self) -> None:
        await self.proxy.start()


class TestKafkaOutages(CutOff):
    kind = MockKafka


class TestMesh(CutOff, BatchRefusalCases, BatchHeaderCases, ReceiptCases, TransportSuite):
    """All of it once more, on another broker."""

    kind = MeshKafka
    scale = 0.5
