"""A history on each of its databases, and stores for commands."""

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.kit import Shell
from tests.servers.postgres import execute, postgres_url

__all__ = ["postgres_url"]  # a fixture is found by its name


@pytest.fixture(params=["sqlite", "postgres"])
def history_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where nothing has been kept yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/history.db"
        return
    server, schema = request.getfixturevalue("postgres_url"), f"h_{secrets.token_hex(4)}"
    asyncio.run(execute(server, f"CREATE SCHEMA {schema}"))
    yield f"{server}?schema={schema}"
    asyncio.run(execute(server, f"DROP SCHEMA {schema} CASCADE"))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(f"sqlite:///{tmp_path}/orders.db", tmp_path)
