"""What the cases need of the Redis transports: streams and channels, wherever the server is."""

from collections.abc import Sequence
from urllib.parse import quote, urlsplit

import pytest
from redis.asyncio import Redis, RedisCluster
from tests.servers.redis import STANDARD
from tests.transports.redis_consumers import StreamReader, Subscriber

from duly.testing import Gate
from duly.testing.transports import Received, TransportHarness
from duly.transport import Transport
from duly_redis_streams.plugin import pubsub_from_url, stream_from_url


def port_of(url: str) -> int:
    """The port of a server's address."""
    return urlsplit(url).port or STANDARD


class OnRedis(TransportHarness):
    """On the server that is shared with others."""

    url: str
    """Of the server, as redis-py takes it."""
    location: str
    """Of the transport, behind its scheme, with at least one option."""

    @pytest.fixture(autouse=True)
    def _where(self, redis_url: str) -> None:
        self.on(redis_url)

    def on(self, url: str) -> None:
        """Use a single server."""
        self.url = url
        self.location = f"{url.removeprefix('redis')}?timeout=5"

    def make_gate(self) -> Gate:
        return Gate(port_of(self.url))

    def place(self) -> str:
        """The location as transports get it."""
        if self.no_gate:
            return self.location
        return self.location.replace(f":{port_of(self.url)}/", f":{self.gate.port}/")

    def client(self) -> Redis | RedisCluster:
        return Redis.from_url(self.url)


class Streams(OnRedis):
    """Each event name has a stream of its own."""

    options = ""

    async def listen(self) -> None:
        names = {*self.odd_event_names, self.event_name}
        self.reader = StreamReader(self.client(), f"{self.namespace}:", sorted(names))
        await self.reader.start()

    async def drop(self) -> None:
        await self.reader.stop()

    async def make_transport(self) -> Transport:
        stream = quote(f"{self.namespace}:{{event_name}}")
        return stream_from_url(f"redis+stream{self.place()}&stream={stream}{self.options}")

    async def received(self, number: int) -> Sequence[Received]:
        return await self.reader.wait_for(number)


class Channels(OnRedis):
    """Each event name has a channel of its own."""

    any_event_name = True

    async def listen(self) -> None:
        self.subscriber = Subscriber(self.client(), f"{self.namespace}:")
        await self.subscriber.start()

    async def drop(self) -> None:
        await self.subscriber.stop()

    async def make_transport(self) -> Transport:
        channel = quote(f"{self.namespace}:{{event_name}}")
        return pubsub_from_url(f"redis+pubsub{self.place()}&channel={channel}")

    async def received(self, number: int) -> Sequence[Received]:
        return await self.subscriber.wait_for(number)
