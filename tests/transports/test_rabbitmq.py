"""The RabbitMQ transport is held to the contract, with a real broker and a real consumer."""

from collections.abc import Sequence

import pytest
from tests.servers.rabbitmq import at_ports, port_of, rabbitmq_url
from tests.transports.rabbitmq_consumer import Consumer, understood

from duly.testing import Gate
from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    ReadingCases,
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

    any_event_name = True
    url: str
    secrets = ("guest",)

    @pytest.fixture(autouse=True)
    def _where(self, rabbitmq_url: str) -> None:
        self.url = rabbitmq_url

    async def listen(self) -> None:
        self.consumer = Consumer(self.url, self.namespace)
        await self.consumer.start()
        self.understood: list[Received] = []

    async def drop(self) -> None:
        await self.consumer.stop()

    async def make_transport(self) -> Transport:
        url = at_ports(self.url, self.gate.port)
        return transport_from_url(f"{url}?exchange={self.namespace}&max_message_size={LIMIT}")

    def make_gate(self) -> Gate:
        return Gate(port_of(self.url))

    async def received(self, number: int) -> Sequence[Received]:
        messages = await self.consumer.wait_for(number)
        self.understood += map(understood, messages[len(self.understood) :])
        return list(self.understood)


class TestRabbitMQ(
    Exchanges, ReadingCases, BatchOutageCases, BatchRefusalCases, BatchHeaderCases, TransportSuite
):
    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"x" * (LIMIT + 1))
