"""The Redis store is held to the contract, on a real server."""

import pytest
from tests.servers.redis import redis_url
from tests.stores.redis_harness import RedisURLHarness

from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import ClaimingAheadCases, RecordCases, StoreSuite, WakeupCases

__all__ = ["redis_url"]

pytest_plugins = ["duly.testing"]


class Harness(RedisURLHarness):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url


class TestRedisStore(Harness, ClaimingAheadCases, WakeupCases, RecordCases, StoreSuite):
    """All cases, and those for all that it can do beyond the contract."""

    scale = 0.5


class TestCrashPoints(Harness, CrashPointCases):
    """A scheduler is killed at every other of its calls."""

    scale = 0.5


class TestRandomLives(Harness, RandomLifeCases):
    """Everything goes wrong."""
