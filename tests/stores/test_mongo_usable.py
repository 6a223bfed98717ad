"""Layouts of a later duly under code that runs, and migrations of stores that are not open."""

import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import COLLECTION, DATABASE, Shop, opened

import duly
from duly import Filter, Message, StoreError, StoreUnavailable, after
from duly.store import Group, Settle
from duly_mongo import usable
from duly_mongo.clients import store_from_url
from duly_mongo.schema import INDEXES

__all__ = ["mongo_url"]  # fixtures are found by their names

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def shop(mongo_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shop]:
    monkeypatch.setattr(usable, "_EVERY", 0.0)
    async with opened(mongo_url, by_hand=False) as shop:
        yield shop


def group(*ids: str) -> Group:
    return Group([Message("event", id=id, scheduled_at=after(seconds=-1)) for id in ids])


async def move_on(shop: Shop, version: int) -> None:
    await shop.leases.update_one({"_id": "duly"}, {"$set": {"usable_from": version}})


async def test_it_claims_and_schedules_no_more(shop: Shop) -> None:
    store = shop.store
    await store.put([group("a", "b")])
    batch = await store.claim(limit=1, lease=MINUTE, owner="me")
    await move_on(shop, 99)
    async with await shop.client.start_session() as session, session.start_transaction():
        for ask in (
            store.claim(limit=1, lease=MINUTE, owner="me"),
            store.put([group("c")]),
            store.put([group("c")], within=session),
            store.cancel(["b"]),
            store.get("b", within=session),
            store.list(Filter()),
            store.stats(),
        ):
            with pytest.raises(StoreError, match="usable from version 99") as caught:
                await ask
            assert not isinstance(caught.value, StoreUnavailable)
    health = await duly.Client(store).health()
    assert health.status is duly.Status.UNHEALTHY
    assert "usable from version 99" in health.reason
    # What is in hand is settled all the same.
    assert batch.token is not None
    (gone,) = await store.renew([batch.token], MINUTE)
    assert gone is not None
    settling = [Settle(batch.token)]
    empty = await store.claim(limit=1, lease=MINUTE, owner="me", settle=settling)
    assert ([*empty.claims], empty.token) == ([], None)
    assert [*empty.settled] == [True]
    assert [*await store.settle(settling)] == [False]
    await move_on(shop, 1)
    assert [each.id for each in await store.list(Filter())] == ["b"]


async def test_it_is_looked_at_within_a_minute() -> None:
    assert usable._EVERY <= 60


async def test_a_store_that_is_not_open_migrates(shop: Shop, mongo_url: str) -> None:
    await shop.messages.drop_indexes()
    store = shop.another(auto_migrate=False)
    told = await store.migrate(dry_run=True)
    assert len(told) == len(INDEXES)
    assert [*await store.migrate()] == [*told]
    made = store_from_url(f"{mongo_url}/{DATABASE}?collection={COLLECTION}&auto_migrate=no")
    assert [*await made.migrate()] == []
    with pytest.raises(StoreError, match="not open"):
        await made.stats()


async def test_the_command_that_health_tells_works(shop: Shop, mongo_url: str) -> None:
    await shop.messages.drop_indexes()
    url = f"{mongo_url}/{DATABASE}?collection={COLLECTION}&auto_migrate=no"
    async with duly.Client(url) as client:
        reason = (await client.health()).reason
        code = reason.partition('python -c "')[2].partition('"')[0].replace("URL", url)
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, check=False, timeout=50, capture_output=True, text=True)  # noqa: ASYNC221  # nothing else runs
        assert done.returncode == 0, done.stderr
        assert "lacks" not in ((await client.health()).reason or "")
