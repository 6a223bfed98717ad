"""A client of each of the stores."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.journeys.stores_before import namespace
from tests.servers.postgres import postgres_url
from tests.servers.redis import redis_url

from duly import Client

__all__ = ["postgres_url", "redis_url"]  # fixtures are found by their names


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with namespace(request.param, tmp_path, request) as url:
        yield url


@pytest.fixture
async def on_each(store_url: str) -> AsyncIterator[Client]:
    """On each store."""
    async with Client(store_url) as client:
        yield client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """In memory, for what depends on no store."""
    async with Client("memory://") as client:
        yield client
