"""The Pub/Sub transport is held to the contract, with a real server and a real subscriber."""

from collections.abc import Iterator

import pytest
from tests.servers.redis import RedisServer, redis_url
from tests.transports.redis_harness import Channels

from duly.testing.transports import (
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    ReadingCases,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.transport import Envelope

__all__ = ["redis_url"]  # fixtures are found by their names

LIMIT = 2**21


class TestChannels(Channels, ReadingCases, BatchHeaderCases, TransportSuite):
    pass


class TestLimitedChannels(Channels, BatchRefusalCases):
    """A server whose limit can be exceeded by a test."""

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        with RedisServer("--proto-max-bulk-len", str(LIMIT)) as server:
            self.on(server.url)
            yield

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"x" * LIMIT)  # with what is around it, it is more


class TestChannelOutages(Channels, BatchOutageCases):
    """A server that is killed."""

    keeps = False
    no_gate = "the server itself is killed"

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        with RedisServer() as self.server:
            self.on(self.server.url)
            yield

    async def break_connection(self) -> None:
        self.server.kill()

    async def restore_connection(self) -> None:
        self.subscriber.listening.clear()
        self.server.start()
        await self.subscriber.listening.wait()
