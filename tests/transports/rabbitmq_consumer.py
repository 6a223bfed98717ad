"""A consumer of RabbitMQ: aio-pika by itself, on an exchange and a queue of its own."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from duly.testing.transports import Received
from duly_rabbitmq import read


class Consumer:
    """Takes all that is published to the exchange ``name``; both are gone when it stops."""

    def __init__(self, url: str, name: str, *, kind: str = "fanout", **queue: Any) -> None:
        self.messages: list[AbstractIncomingMessage] = []
        self._url = url
        self._name = name
        self._kind = kind
        self._queue_options = queue
        self._came = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Declare the exchange and the queue, bind them and listen."""
        self._connection = await aio_pika.connect(self._url)
        channel = await self._connection.channel()
        self._exchange = await channel.declare_exchange(self._name, self._kind, durable=True)
        self._queue = await channel.declare_queue(self._name, durable=True, **self._queue_options)
        await self._queue.bind(self._exchange, "#")
        await self._queue.consume(self._take)

    async def stop(self) -> None:
        """Listen no more."""
        await self._queue.delete(if_unused=False, if_empty=False)
        await self._exchange.delete()
        await self._connection.close()

    async def wait_for(self, number: int) -> Sequence[AbstractIncomingMessage]:
        """All that came, as soon as it is so many."""
        while len(self.messages) < number:
            self._came.clear()
            await self._came.wait()
        return self.messages

    async def _take(self, message: AbstractIncomingMessage) -> None:
        self.messages.append(message)
        self._came.set()
        await message.ack()


def understood(message: AbstractIncomingMessage) -> Received:
    """What a consumer makes of it."""
    headers = {name: str(value) for name, value in message.headers.items()}
    name = message.type or headers["duly-event-name"]
    return Received(event_name=name, payload=message.body, headers=headers, envelope=read(message))
