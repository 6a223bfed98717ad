"""The stream transport is held to the contract, with a real server and a real consumer."""

from collections.abc import Iterator

import pytest
from tests.servers.redis import RedisServer, redis_url
from tests.transports.redis_harness import Streams

from duly.testing.transports import (
    BatchCases,
    BatchHeaderCases,
    BatchOutageCases,
    BatchRefusalCases,
    DeduplicationCases,
    DeduplicationOutageCases,
    ReadingCases,
    ReceiptCases,
    TransportSuite,
)
from duly.testing.transports.bench import Bench
from duly.testing.transports.publishing import RepeatCases
from duly.transport import Envelope

__all__ = ["redis_url"]  # fixtures are found by their names

LIMIT = 2**20
PASSWORD = "the-password-of-redis"


class TestStreams(Streams, ReadingCases, BatchHeaderCases, ReceiptCases, TransportSuite):
    pass


class TestDeduplicatedStreams(Streams, DeduplicationCases, BatchCases, RepeatCases):
    """Trimmed as well, so that all of the script is at work."""

    options = "&deduplicate=60&max_age=3600"


class TestLimitedStreams(Streams, BatchRefusalCases):
    """A server whose limit can be exceeded by a test."""

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        with RedisServer("--proto-max-bulk-len", str(LIMIT)) as server:
            self.on(server.url)
            yield

    def unacceptable(self, desk: Bench) -> Envelope:
        return desk.envelope(b"x" * (LIMIT + 1))


class Killed(Streams):
    """A server that keeps on disk what it has accepted, and is killed."""

    secrets = (PASSWORD,)
    no_gate = "the server itself is killed"

    @pytest.fixture(autouse=True)
    def _where(self) -> Iterator[None]:
        kept = ("--appendonly", "yes", "--appendfsync", "always", "--requirepass", PASSWORD)
        with RedisServer(*kept) as self.server:
            self.on(self.server.url.replace("redis://", f"redis://:{PASSWORD}@"))
            yield

    async def break_connection(self) -> None:
        self.server.kill()

    async def restore_connection(self) -> None:
        self.server.start()


class TestStreamOutages(Killed, BatchOutageCases):
    pass


class TestDeduplicatedStreamOutages(Killed, DeduplicationOutageCases):
    options = "&deduplicate=60"
