"""Fixtures for the tests of a service: ``pytest_plugins = ["duly.testing.fixtures"]``.

None of them is async, so they work with pytest-asyncio in both modes, with anyio's plugin, and in
tests that block.
"""

import pytest

from duly import Client, LocalTransport, Scheduler
from duly.testing.fake_store import FakeStore
from duly.transport import Transport

__all__ = ["duly_client", "duly_scheduler", "duly_store", "duly_transport"]


@pytest.fixture
def duly_store() -> FakeStore:
    """A store of its own for each test, whose clock goes with this host's until it is moved."""
    return FakeStore()


@pytest.fixture
def duly_client(duly_store: FakeStore) -> Client:
    """A client of that store: give it to the code that schedules."""
    return Client(duly_store)


@pytest.fixture
def duly_transport() -> Transport:
    """Where messages go: a fixture of yours with this name returns that of your service."""
    return LocalTransport()


@pytest.fixture
def duly_scheduler(duly_store: FakeStore, duly_transport: Transport) -> Scheduler:
    """A scheduler of that store, which does not run: for ``await duly_scheduler.drain()``."""
    return Scheduler(duly_store, duly_transport)
