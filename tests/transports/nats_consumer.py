"""Consumers of NATS, by its usual client: of a stream, and of a subject without one."""

import asyncio
from collections.abc import Sequence
from typing import Self
from urllib.parse import unquote

import nats
import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from duly.testing.transports import Received
from duly_nats import read


class Consumer:
    """Notes all that comes to ``prefix.>`` and comes back by itself when the server does."""

    def __init__(self, url: str, prefix: str) -> None:
        self._url = url
        self.prefix = prefix
        self.client: Client
        self.messages: list[Msg] = []
        self._understood: list[Received] = []
        self._came = asyncio.Event()

    async def start(self) -> Self:
        """Connect and listen."""
        self.client = await nats.connect(
            self._url, max_reconnect_attempts=-1, reconnect_time_wait=0.05,  # type: ignore[arg-type]  # fractions are fine
            error_cb=_quiet,
        )  # fmt: skip
        await self._listen()
        return self

    async def stop(self) -> None:
        """Hang up."""
        await self.client.close()

    async def away(self) -> None:
        """Wait until it has seen that the server is gone."""
        while self.client.is_connected:  # noqa: ASYNC110  # the library has no event for it
            await asyncio.sleep(0.01)

    async def back(self) -> None:
        """Wait until it listens again."""
        while not self.client.is_connected:  # noqa: ASYNC110  # the library has no event for it
            await asyncio.sleep(0.01)
        await flushed(self.client)

    async def wait_for(self, number: int) -> Sequence[Received]:
        """All that came, as soon as it is so many."""
        while len(self.messages) < number:
            self._came.clear()
            await self._came.wait()
        new = self.messages[len(self._understood) :]
        self._understood += [_understood(message, self.prefix) for message in new]
        return list(self._understood)

    async def _listen(self) -> None:
        await self.client.subscribe(f"{self.prefix}.>", cb=self._note)
        await flushed(self.client)

    async def _note(self, message: Msg) -> None:
        self.messages.append(message)
        self._came.set()


class StreamConsumer(Consumer):
    """Makes a stream named like the prefix, and reads it to the end and on."""

    stream: JetStreamContext

    async def _listen(self) -> None:
        self.stream = self.client.jetstream()
        await self.stream.add_stream(name=self.prefix, subjects=[f"{self.prefix}.>"])
        # What is on its way when the server is killed comes again after a second.
        self._pulled = await self.stream.pull_subscribe(
            f"{self.prefix}.>", durable="reader", config=ConsumerConfig(ack_wait=1)
        )
        self._seen: set[int] = set()
        self._reading = asyncio.ensure_future(self._read())

    async def stop(self) -> None:
        while not self._reading.done():  # the library swallows a cancellation now and then
            self._reading.cancel()
            await asyncio.wait([self._reading], timeout=0.1)
        await self.stream.delete_stream(self.prefix)
        await super().stop()

    async def _read(self) -> None:
        while True:
            try:
                for message in await self._pulled.fetch(500, timeout=0.5):
                    await message.ack()
                    number = message.metadata.sequence.stream
                    if number not in self._seen:  # its acknowledgement may have been lost
                        self._seen.add(number)
                        await self._note(message)
            except (nats.errors.Error, OSError):
                await asyncio.sleep(0.02)


async def flushed(client: Client) -> None:
    """Wait until the server has read all, for which one PING is not enough.

    The library writes that at once, before what waits in its buffer.
    """
    for _ in range(2):
        await client.flush()


def _understood(message: Msg, prefix: str) -> Received:
    headers = {unquote(name): unquote(text) for name, text in (message.headers or {}).items()}
    name = unquote(message.subject.removeprefix(f"{prefix}."))
    envelope = read(message, subject=f"{prefix}.{{event_name}}")
    return Received(event_name=name, payload=message.data, headers=headers, envelope=envelope)


async def _quiet(error: Exception) -> None:
    """The server is away, which is what the test wants."""
