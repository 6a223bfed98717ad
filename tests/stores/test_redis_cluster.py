"""The Redis store in a Redis Cluster of three primaries, in one slot and spread over several."""

import pytest
from tests.servers.redis_cluster import redis_cluster_url
from tests.stores.redis_harness import RedisHarness

from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import RecordCases, StoreSuite, WakeupCases

__all__ = ["redis_cluster_url"]

pytest_plugins = ["duly.testing"]


class Harness(RedisHarness):
    scale = 0.1

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url: str) -> None:
        self.url = redis_cluster_url


class TestRedisCluster(Harness, WakeupCases, RecordCases, StoreSuite):
    """All cases, and those for all that it can do beyond the contract."""


class TestCrashPoints(Harness, CrashPointCases):
    """A scheduler is killed at each of its calls."""


class TestRandomLives(Harness, RandomLifeCases):
    """Everything goes wrong."""
