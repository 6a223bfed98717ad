"""The Redis store in a Redis Cluster of three primaries, in one slot of it."""

import pytest
from tests.servers.redis_cluster import redis_cluster_url
from tests.stores.redis_harness import RedisHarness

from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import (
    ClaimingCases,
    EnsureCases,
    NoteCases,
    RecordCases,
    StoreSuite,
    TakeoverCases,
    WakeupCases,
    WhereCases,
)

__all__ = ["redis_cluster_url"]

pytest_plugins = ["duly.testing"]


class Harness(RedisHarness):
    scale = 0.1
    no_outages = no_connections = no_secrets = "tried on one server, in test_redis.py"

    @pytest.fixture(autouse=True)
    def _server(self, redis_cluster_url: str) -> None:
        self.url = redis_cluster_url


class TestRedisCluster(
    Harness, WakeupCases, WhereCases, EnsureCases, RecordCases, ClaimingCases, NoteCases, TakeoverCases
):  # fmt: skip
    """What schedulers rely on; see also the crash points of the store in shards."""


@pytest.mark.slow
class TestAllInACluster(Harness, StoreSuite):
    """All cases."""


@pytest.mark.slow
class TestCrashPoints(Harness, CrashPointCases):
    """A scheduler is killed at each of its calls."""


@pytest.mark.slow
class TestRandomLives(Harness, RandomLifeCases):
    """Everything goes wrong."""
