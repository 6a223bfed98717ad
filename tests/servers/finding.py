"""Where a test gets its server, in this order: the environment, the standard port, one of its own.

``DULY_TEST_REQUIRE=redis,postgres`` names servers for want of which no test may be skipped, and what
else one may lack: ``root`` (a disk of a test's own), ``git`` (a checkout, not an archive), ...
"""

import os
from collections.abc import Callable

import pytest
from tests.servers.process import Server, listens

# By what a server is called: the variable that names the user's own.
VARIABLES = {
    name: f"DULY_TEST_{name.upper()}_URL"
    for name in ("redis", "postgres", "mongodb", "nats", "rabbitmq", "kafka", "mqtt")
}


def given(name: str) -> str | None:
    """The URL of the server that the environment names."""
    return os.environ.get(VARIABLES[name]) or None


def served(port: int) -> bool:
    """Whether the machine has a server on its standard port."""
    return listens(port)


def missing(name: str, hint: str) -> None:
    """Skip the test for want of a server, or fail it where that server is required."""
    lacking(name, f"no server: {hint}, or name one by {VARIABLES[name]}")


def lacking(name: str, reason: str) -> None:
    """Skip the test for want of something, or fail it where that is required."""
    if name in os.environ.get("DULY_TEST_REQUIRE", "").replace(" ", "").split(","):
        pytest.fail(f"{name}: {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")


def started(name: str, hint: str, make: Callable[[], Server | None]) -> Server:
    """A server of the tests' own that serves; skipped or failed where it cannot be had."""
    server = make()
    if server is None:
        missing(name, hint)
    assert server is not None
    server.start()
    return server
