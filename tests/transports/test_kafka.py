"""The Kafka transport is held to the contract, with real consumers of two different brokers."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import pytest_asyncio
from tests.servers.kafka import KafkaServer, MeshKafka, MockKafka, kafka_url
from tests.servers.process import free_port
from tests.transports.kafka_reader import Reader, understood

from duly.testing import Gate
from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    GateCases,
    ReadingCases,
    ReceiptCases,
    Received,
    TransportHarness,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.testing.transports.health import HealthOutageCases
from duly.transport import Envelope, Transport
from duly_kafka.plugin import transport_from_url

__all__ = ["kafka_url"]  # a fixture is found by its name

LARGEST = 2 * 2**20  # bytes


class KafkaHarness(TransportHarness):
    """One topic for each case; the event name is in a header."""

    any_event_name = True
    url: str
    options = ""
    largest = 1_000_000  # with its headers this is what brokers take by default

    async def listen(self) -> None:
        self.understood: list[Received] = []
        self.reader = Reader(self.url, self.namespace)
        await self.reader.start()

    async def drop(self) -> None:
        await self.reader.stop()

    async def make_transport(self) -> Transport:
        return transport_from_url(
            f"{self.url}?topic={self.namespace}&max_request_size={LARGEST}{self.options}"
        )

    async def received(self, number: int) -> Sequence[Received]:
        records = await self.reader.wait_for(number)
        self.understood += map(understood, records[len(self.understood) :])
        return list(self.understood)

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(bytes(LARGEST))


class TestKafka(
    KafkaHarness, ReadingCases, BatchRefusalCases, BatchHeaderCases, ReceiptCases, TransportSuite
):
    """Every case but those of an outage, on whatever Kafka there is."""

    no_outages = "brokers tell their own addresses; TestKafkaOutages and TestMesh have gates there"

    @pytest.fixture(autouse=True)
    def _server(self, kafka_url: str) -> None:
        self.url = kafka_url


class CutOff(KafkaHarness, BatchOutageCases):
    """A broker that can be reached through a gate only."""

    kind: type[KafkaServer]

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[tuple[KafkaServer, int]]:
        port = free_port()
        with cls.kind(advertised=port) as server:
            yield server, port

    @pytest_asyncio.fixture(autouse=True, loop_scope="function")
    async def _gate(self, server: tuple[KafkaServer, int]) -> AsyncIterator[None]:
        broker, port = server
        self.url, self.options = broker.url, broker.options
        async with Gate(broker.broker, port=port) as self.gate:
            yield

    async def listen(self) -> None:
        await super().listen()
        await self.reader.read_all()  # so that it has all connections of its own

    def make_gate(self) -> Gate:
        return self.gate  # open before the consumer, which knows no other way either


class TestKafkaOutages(CutOff, GateCases, HealthOutageCases):
    kind = MockKafka


class TestMesh(CutOff, BatchRefusalCases, BatchHeaderCases, ReceiptCases, TransportSuite):
    """All of it once more, on another broker."""

    kind = MeshKafka
    scale = 0.5
