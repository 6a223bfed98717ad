"""A shell with each of the stores behind it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.kit import Shell
from tests.journeys.stores_before import namespace
from tests.servers.mongo import mongo_url
from tests.servers.postgres import postgres_url
from tests.servers.redis import redis_url

__all__ = ["mongo_url", "postgres_url", "redis_url"]  # fixtures are found by their names


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.slow), "redis", "postgres"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    """On each store."""
    with namespace(request.param, tmp_path, request) as url:
        yield Shell(url, tmp_path)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Shell:
    """On a file, for what depends on no store."""
    return Shell(f"sqlite:///{tmp_path}/orders.db", tmp_path)


@pytest.fixture
def on_postgres(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Shell]:
    """On a server, for what takes many commands."""
    with namespace("postgres", tmp_path, request) as url:
        yield Shell(url, tmp_path)
