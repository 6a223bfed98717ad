"""The Redis store is held to the contract, on a real server."""

from collections.abc import Iterator

import pytest
from tests.servers.redis import RedisServer, redis_url
from tests.stores.redis_harness import RedisURLHarness, prefix_of
from tests.stores.through_a_gate import APART, PASSWORD, AwayCases

from duly.store import Clock
from duly.testing.crash_cases import CrashPointCases, CrowdedLifeCases, RandomLifeCases
from duly.testing.stores import (
    ClaimingAheadCases,
    DueBetweenCases,
    EnsureCases,
    ForecastCases,
    HealthCases,
    LineCases,
    LineMarkCases,
    ListingWithoutPayloadsCases,
    MigrationCases,
    NameStatsCases,
    NoteCases,
    NoteOutageCases,
    OverdueCases,
    RecordCases,
    StoreSuite,
    TakeoverCases,
    TakeoverOutageCases,
    WakeupCases,
    WhereCases,
)
from duly.testing.stores.histories import HistoryCases
from duly.testing.stores.lines_histories import LineHistoryCases
from duly.testing.stores.series_histories import SeriesHistoryCases
from duly_redis import RedisStore
from duly_redis.keys import meta_key
from duly_redis.plugin import store_from_url

__all__ = ["redis_url"]

pytest_plugins = ["duly.testing"]


class Harness(RedisURLHarness):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url


class TestRedisStore(
    Harness,
    ClaimingAheadCases,
    EnsureCases,
    ForecastCases,
    DueBetweenCases,
    LineCases,
    LineMarkCases,
    ListingWithoutPayloadsCases,
    MigrationCases,
    NameStatsCases,
    OverdueCases,
    NoteCases,
    TakeoverCases,
    WakeupCases,
    WhereCases,
    RecordCases,
    StoreSuite,
):
    """All cases, and those for all that it can do beyond the contract."""

    scale = 0.5
    histories = line_histories = 80  # TestLongHistories has all
    series_steps = 320
    no_outages = no_connections = no_secrets = APART

    async def make_without_schema(self, namespace: str) -> RedisStore:
        return await self.make_store(namespace, None)

    async def unmark(self, namespace: str) -> None:
        await self.client().hdel(meta_key(prefix_of(namespace)), "lines")


@pytest.fixture(scope="module")
def guarded_redis_url() -> Iterator[str]:
    """A server with a password."""
    with RedisServer("--requirepass", PASSWORD) as server:
        yield server.url.replace("://", f"://:{PASSWORD}@")


class TestAway(HealthCases, NoteOutageCases, TakeoverOutageCases, AwayCases, RedisURLHarness):
    """The server is taken away."""

    @pytest.fixture(autouse=True)
    def _server(self, guarded_redis_url: str) -> None:
        self.url = guarded_redis_url

    async def make_store(self, namespace: str, clock: Clock | None) -> RedisStore:
        url = await self.gated(namespace)
        store = store_from_url(f"{url}?key_prefix={prefix_of(namespace)}")
        store._clock = clock
        return store


class TestCrashPoints(Harness, CrashPointCases):
    """A scheduler is killed at each fifth of its calls."""

    scale = 0.2


@pytest.mark.slow
class TestAllCrashPoints(Harness, CrashPointCases):
    """And at each of them."""


class TestCrowds(Harness, CrowdedLifeCases):
    """Everything goes wrong among crowds, and one name flows."""

    scale = 0.2


class TestRandomLives(Harness, RandomLifeCases):
    """Everything goes wrong."""


@pytest.mark.slow
class TestLongHistories(Harness, HistoryCases, LineHistoryCases, SeriesHistoryCases):
    """As many histories as the kit has, other ones each time."""
