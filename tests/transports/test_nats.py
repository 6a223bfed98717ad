"""The NATS transports are held to the contract, with the usual client as the consumer."""

from collections.abc import Iterator, Sequence
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from tests.servers.nats import STANDARD, NatsServer, nats_url
from tests.transports.nats_consumer import Consumer, StreamConsumer

from duly.testing import Gate
from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    Bench,
    DeduplicationCases,
    DeduplicationOutageCases,
    ReadingCases,
    ReceiptCases,
    Received,
    TransportSuite,
)
from duly.transport import Envelope, Transport
from duly_nats.plugin import jetstream_from_url, nats_from_url

__all__ = ["nats_url"]  # a fixture is found by its name


class NatsCases(ReadingCases, BatchRefusalCases, BatchHeaderCases, TransportSuite):
    """On a server that others may use too."""

    any_event_name = True
    largest = 2**20 - 2**12  # by default a server takes a MiB, headers included
    make_consumer: ClassVar[type[Consumer]] = Consumer
    scheme: ClassVar[str] = "nats"
    url: str

    @pytest.fixture(autouse=True)
    def server(self, nats_url: str) -> None:
        self.url = nats_url

    async def listen(self) -> None:
        self.consumer = await self.make_consumer(self.url, self.namespace).start()

    async def drop(self) -> None:
        await self.consumer.stop()

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or STANDARD

    def make_gate(self) -> Gate:
        return Gate(self.port)

    async def make_transport(self) -> Transport:
        make = nats_from_url if self.scheme == "nats" else jetstream_from_url
        place = self.url.removeprefix("nats://")
        if not self.no_gate:
            place = place.replace(f":{self.port}", f":{self.gate.port}")
        return make(f"{self.scheme}://{place}?subject={self.namespace}.{{event_name}}&timeout=5")

    async def received(self, number: int) -> Sequence[Received]:
        return await self.consumer.wait_for(number)

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(bytes(16 * 2**20))


class TestNats(NatsCases):
    pass


class TestJetStream(DeduplicationCases, ReceiptCases, NatsCases):
    make_consumer = StreamConsumer
    scheme = "jetstream"


class OwnServer(BatchOutageCases, NatsCases):
    """On a server of its own, which is killed, and which takes more at a time."""

    largest = 2**20
    no_gate = "the server itself is killed"

    @pytest.fixture(autouse=True)
    def server(self) -> Iterator[None]:
        with NatsServer("max_payload: 8MB") as self.own:
            self.url = self.own.url
            yield

    async def break_connection(self) -> None:
        self.own.kill()
        await self.consumer.away()

    async def restore_connection(self) -> None:
        self.own.start()
        await self.consumer.back()


class TestNatsOutages(OwnServer):
    keeps = False


class TestJetStreamOutages(DeduplicationOutageCases, ReceiptCases, OwnServer):
    make_consumer = StreamConsumer
    scheme = "jetstream"
