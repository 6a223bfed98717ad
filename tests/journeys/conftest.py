"""A journey of its own for each test, on a file, and a gate."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.journeys.kit import Journey
from tests.journeys.props import Gate
from tests.servers.mongo import empty_mongo
from tests.servers.redis import empty_redis, redis_url

__all__ = [
    "empty_mongo",
    "empty_redis",
    "gate",
    "journey",
    "redis_url",
]  # fixtures are found by their names


@pytest.fixture
async def journey(tmp_path: Path) -> AsyncIterator[Journey]:
    async with Journey(tmp_path, f"sqlite:///{tmp_path / 'journey.db'}") as journey:
        yield journey


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")
