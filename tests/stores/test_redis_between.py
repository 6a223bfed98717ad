"""What is due between two moments on Redis: of all shards, and more than one script looks at."""

from datetime import timedelta

import pytest
from tests.stores.redis_harness import RedisHarness
from tests.stores.test_redis import redis_url

from duly.store import Clock, Group
from duly.testing.stores import Bench
from duly.testing.stores.situations import DAY, SECOND
from duly_redis import RedisStore

__all__ = ["redis_url"]

pytest_plugins = ["duly.testing"]

_MANY = 2100


class TestOneShard(RedisHarness):
    @pytest.fixture(autouse=True)
    def _server(self, redis_url: str) -> None:
        self.url = redis_url

    async def make_store(self, namespace: str, clock: Clock | None) -> RedisStore:
        prefix = f"duly-test-{namespace}:"
        return RedisStore(
            self.client_for(namespace), key_prefix=prefix, shards=self.shards, clock=clock
        )

    async def test_all_of_them_come_in_order(self, desk: Bench) -> None:
        messages = [
            desk.message(f"m{(number * 977) % _MANY}", timedelta(seconds=number))
            for number in range(_MANY)
        ]
        assert not any(await desk.store.put([Group([each]) for each in messages]))
        assert isinstance(desk.store, RedisStore)
        found = await desk.store.due_between(desk.start, desk.start + DAY, limit=10_000)
        assert [each.message.id for each in found] == [each.id for each in messages]
        since = desk.start + 100 * SECOND
        found = await desk.store.due_between(since, desk.start + DAY, limit=1900)
        assert [each.message.id for each in found] == [each.id for each in messages[100:2000]]


class TestThreeShards(TestOneShard):
    shards = 3
