"""The RabbitMQ transport is held to the contract, with a real broker and a real consumer."""

from collections.abc import Sequence

import pytest
from tests.servers.proxy import Proxy
from tests.servers.rabbitmq import at_ports, port_of, rabbitmq_url
from tests.transports.rabbitmq_consumer import Consumer, understood

from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    Received,
    TransportHarness,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.transport import Envelope, Transport
from duly_rabbitmq.plugin import transport_from_url

__all__ = ["rabbitmq_url"]  # fixtures are found by their names

LIMIT = 2 * 2**20


class Exchanges(TransportHarness):
    """An exchange of its own for each case, whose name is that of the case."""

    url: str
    secrets = ("guest",)

    @pytest.fixture(autouse=True)
    def _where(self, rabbitmq_url: str) -> None:
        self.url = rabbitmq_url

    async def listen(self) -> None:
        self.consumer = Consumer(self.url, self.namespace)
        await self.consumer.start()

    async def drop(self) -> None:
        await self.consumer.stop()

    async def make_transport(self) -> Transport:
        return transport_from_url(f"{self.url}?exchange={self.namespace}&max_message_size={LIMIT}")

    async def received(self, number: int) -> Sequence[Received]:
        return [understood(each) for each in await self.consumer.wait_for(number)]


class TestRabbitMQ(Exchanges, BatchRefusalCases, BatchHeaderCases, TransportSuite):
    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"x" * (LIMIT + 1))


class TestRabbitMQOutages(Exchanges, BatchOutageCases):
    """The connection is cut, and nobody answers: the consumer has another way to the broker."""

    async def listen(self) -> None:
        await super().listen()
        self.proxy = Proxy(to=port_of(self.url))
        await self.proxy.start()

    async def drop(self) -> None:
        await super().drop()
        await self.proxy.cut()

    async def make_transport(self) -> Transport:
        url = at_ports(self.url, self.proxy.port)
        return transport_from_url(f"{url}?exchange={self.namespace}")

    async def break_connection(self) -> None:
        await self.proxy.cut()

    async def restore_connection(self) -> None:
        await self.proxy.start()
