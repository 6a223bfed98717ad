"""A journey of its own for each test, on a file, and a gate."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.journeys.kit import Journey
from tests.journeys.props import Gate
from tests.servers.kafka import empty_kafka
from tests.servers.mongo import empty_mongo
from tests.servers.mqtt import empty_mqtt
from tests.servers.nats import empty_nats, empty_nats_url
from tests.servers.postgres import postgres_url, shop_database
from tests.servers.rabbitmq import rabbitmq_url
from tests.servers.redis import empty_redis, redis_url

# Fixtures are found by their names.
__all__ = [
    "empty_kafka",
    "empty_mongo",
    "empty_mqtt",
    "empty_nats",
    "empty_nats_url",
    "empty_redis",
    "gate",
    "journey",
    "postgres_url",
    "rabbitmq_url",
    "redis_url",
    "shop_database",
]


@pytest.fixture
async def journey(tmp_path: Path) -> AsyncIterator[Journey]:
    async with Journey(tmp_path, f"sqlite:///{tmp_path / 'journey.db'}") as journey:
        yield journey


@pytest.fixture
def empty_redis_streams(empty_redis: str) -> str:
    """The same server as the stream transport's."""
    return empty_redis.replace("redis://", "redis+stream://")


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")
