"""The Pub/Sub transport is held to the contract, with a real server and a real subscriber."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RedisServer, redis_url
from tests.transports.redis_consumers import Subscriber

from duly.testing.transports import (
    BatchCases,
    BatchRefusalCases,
    HeaderCases,
    OutageCases,
    Received,
    TransportHarness,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.transport import Envelope, Transport
from duly_redis_streams.plugin import pubsub_from_url

__all__ = ["redis_url"]  # fixtures are found by their names

LIMIT = 2**21


class Channels(TransportHarness):
    """Each event name has a channel of its own."""

    url: str

    @pytest.fixture(autouse=True)
    def _where(self, redis_url: str) -> None:
        self.url = redis_url

    async def listen(self) -> None:
        self.subscriber = Subscriber(Redis.from_url(self.url), f"{self.namespace}:")
        await self.subscriber.start()

    async def drop(self) -> None:
        await self.subscriber.stop()

    async def make_transport(self) -> Transport:
        url = self.url.replace("redis://", "redis+pubsub://")
        channel = quote(f"{self.namespace}:{{event_name}}")
        return pubsub_from_url(f"{url}?channel={channel}")

    async def received(self, number: int) -> Sequence[Received]:
        return await self.subscriber.wait_for(number)


class TestChannels(Channels, BatchCases, HeaderCases, TransportSuite):
    pass


class TestLimitedChannels(Channels, BatchRefusalCases):
    """A server whose limit can be exceeded by a test."""

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        with RedisServer("--proto-max-bulk-len", str(LIMIT)) as server:
            self.url = server.url
            yield

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"x" * LIMIT)  # with what is around it, it is more


class TestChannelOutages(Channels, OutageCases):
    """A server that is killed."""

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        with RedisServer() as self.server:
            self.url = self.server.url
            yield

    async def break_connection(self) -> None:
        self.server.kill()

    async def restore_connection(self) -> None:
        self.subscriber.listening.clear()
        self.server.start()
        await self.subscriber.listening.wait()
