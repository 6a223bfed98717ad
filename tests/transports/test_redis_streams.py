"""The stream transport is held to the contract, with a real server and a real consumer."""

from collections.abc import Iterator, Sequence
from urllib.parse import quote

import pytest
from redis.asyncio import Redis
from tests.servers.redis import RedisServer, redis_url
from tests.transports.redis_consumers import StreamReader

from duly.testing.transports import (
    BatchCases,
    BatchRefusalCases,
    DeduplicationCases,
    HeaderCases,
    OutageCases,
    ReceiptCases,
    Received,
    TransportHarness,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.testing.transports.publishing import RepeatCases
from duly.transport import Envelope, Transport
from duly_redis_streams.plugin import stream_from_url

__all__ = ["redis_url"]  # fixtures are found by their names

LIMIT = 2**20
PASSWORD = "the-password-of-redis"


class Streams(TransportHarness):
    """Each event name has a stream of its own."""

    url: str
    options = ""

    @pytest.fixture(autouse=True)
    def _where(self, redis_url: str) -> None:
        self.url = redis_url

    async def listen(self) -> None:
        names = {*self.odd_event_names, self.event_name}
        self.reader = StreamReader(Redis.from_url(self.url), f"{self.namespace}:", sorted(names))
        await self.reader.start()

    async def drop(self) -> None:
        await self.reader.stop()

    async def make_transport(self) -> Transport:
        url = self.url.replace("redis://", "redis+stream://")
        stream = quote(f"{self.namespace}:{{event_name}}")
        return stream_from_url(f"{url}?stream={stream}{self.options}")

    async def received(self, number: int) -> Sequence[Received]:
        return await self.reader.wait_for(number)


class TestStreams(Streams, BatchCases, ReceiptCases, HeaderCases, TransportSuite):
    pass


class TestDeduplicatedStreams(Streams, DeduplicationCases, BatchCases, RepeatCases):
    """Trimmed as well, so that all of the script is at work."""

    options = "&deduplicate=60&max_age=3600"


class TestLimitedStreams(Streams, BatchRefusalCases):
    """A server whose limit can be exceeded by a test."""

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        with RedisServer("--proto-max-bulk-len", str(LIMIT)) as server:
            self.url = server.url
            yield

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"x" * (LIMIT + 1))


class TestStreamOutages(Streams, OutageCases):
    """A server that keeps on disk what it has accepted, and is killed."""

    secrets = (PASSWORD,)

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        kept = ("--appendonly", "yes", "--appendfsync", "always", "--requirepass", PASSWORD)
        with RedisServer(*kept) as self.server:
            self.url = self.server.url.replace("redis://", f"redis://:{PASSWORD}@")
            yield

    async def break_connection(self) -> None:
        self.server.kill()

    async def restore_connection(self) -> None:
        self.server.start()
