"""The Redis store of a group of servers under Sentinel."""

import pytest
from tests.servers.redis_sentinel import redis_sentinel_url
from tests.stores.redis_harness import RedisURLHarness

from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import (
    ClaimingCases,
    NoteCases,
    RecordCases,
    StoreSuite,
    TakeoverCases,
    WakeupCases,
    WhereCases,
)

__all__ = ["redis_sentinel_url"]

pytest_plugins = ["duly.testing"]


class Harness(RedisURLHarness):
    scale = 0.1
    no_outages = no_connections = no_secrets = "tried on one server, in test_redis.py"

    @pytest.fixture(autouse=True)
    def _server(self, redis_sentinel_url: str) -> None:
        self.url = redis_sentinel_url


@pytest.mark.slow
class TestRedisSentinel(
    Harness, WakeupCases, WhereCases, RecordCases, ClaimingCases, NoteCases, TakeoverCases
):
    """What schedulers rely on; the server behind Sentinel is one like any other."""


@pytest.mark.slow
class TestAllUnderSentinel(Harness, StoreSuite):
    """All cases."""


@pytest.mark.slow
class TestCrashPoints(Harness, CrashPointCases):
    """A scheduler is killed at each of its calls."""


@pytest.mark.slow
class TestRandomLives(Harness, RandomLifeCases):
    """Everything goes wrong."""
