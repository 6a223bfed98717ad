"""RabbitMQ: a durable queue of persistent messages, which outlive the broker's death."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import aio_pika
from aio_pika.abc import AbstractIncomingMessage
from tests.journeys.brokers import Arrival, Broker
from tests.servers.rabbitmq import RabbitMQServer

QUEUE = "journey"


class RabbitMQBroker(Broker):
    """It drops no repeats: what it had confirmed too late to be heard comes twice."""

    server: RabbitMQServer

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._arrivals: list[Arrival] = []
        self._came = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{self.server.url}?routing_key={QUEUE}"

    def prepare(self) -> RabbitMQServer:
        return RabbitMQServer()

    async def listen(self) -> None:
        async with await aio_pika.connect(self.server.url) as connection:
            channel = await connection.channel()
            await channel.declare_queue(QUEUE, durable=True)

    async def arrivals(self) -> Sequence[Arrival]:
        """Takes what is there each time: who listens all the time gets some again at its death."""
        async with await aio_pika.connect(self.server.url) as connection:
            channel = await connection.channel()
            queue = await channel.get_queue(QUEUE)
            wanted = len(self._arrivals) + (queue.declaration_result.message_count or 0)
            tag = await queue.consume(self._take, no_ack=True)
            while len(self._arrivals) < wanted:
                self._came.clear()
                await self._came.wait()
            await queue.cancel(tag)
        return self._arrivals

    async def _take(self, message: AbstractIncomingMessage) -> None:
        told = {name: str(value) for name, value in message.headers.items()}
        self._arrivals.append(
            Arrival(
                told["duly-message-id"], told["duly-delivery-id"],
                int(told["duly-attempt"]), message.body,
            )
        )  # fmt: skip
        self._came.set()
