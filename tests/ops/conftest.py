"""The stores behind the pages, and promtool."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.kit import Shell
from tests.journeys.stores_before import namespace
from tests.servers.finding import lacking
from tests.servers.postgres import postgres_url
from tests.servers.redis import redis_url

__all__ = ["postgres_url", "redis_url"]  # fixtures are found by their names


@pytest.fixture(params=["sqlite", "redis", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of each store, with nothing in it."""
    with namespace(request.param, tmp_path, request) as url:
        yield url


@pytest.fixture(params=["redis", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The same of those that are servers."""
    with namespace(request.param, tmp_path, request) as url:
        yield url


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Shell:
    """A shell with a file behind it."""
    return Shell(f"sqlite:///{tmp_path}/orders.db", tmp_path)


@pytest.fixture
def promtool() -> Callable[[str], str]:
    """Has promtool check metrics; what it finds."""
    program = shutil.which("promtool")
    if program is None:
        lacking("promtool", "it comes with Debian's package prometheus")
    assert program is not None

    def check(text: str) -> str:
        done = subprocess.run(
            [program, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode in (0, 3), done
        return done.stdout + done.stderr

    return check
