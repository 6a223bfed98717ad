"""Sidings as documents: of the version before, changed by hand, and what they cost."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from bson.binary import Binary
from tests.servers.mongo import lone_mongo_url, mongo_url
from tests.stores.mongo_before import moved_by_it, seen_by_it
from tests.stores.mongo_kit import Shop, opened

from duly import Message, State
from duly.store import PAUSED, Batch, Group, Settle
from duly_mongo import MongoStore, wakeups

__all__ = ["lone_mongo_url", "mongo_url"]  # fixtures are found by their names

LEASE = timedelta(minutes=5)
NOTHING = {"*": PAUSED}


@pytest.fixture(params=["mongo_url", "lone_mongo_url"], ids=["replica set", "alone"])
def url(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    async with opened(url) as shop:
        yield shop


async def put(shop: Shop, name: str, *ids: str, **more: Any) -> None:
    assert shop.clock is not None
    messages = [Message(name, b"payload", id=id, scheduled_at=shop.clock(), **more) for id in ids]
    assert [*await shop.store.put([Group([each]) for each in messages])] == [None] * len(ids)


async def claim(
    shop: Shop, limit: int = 100, most: Mapping[str, int] | None = None, **more: Any
) -> Batch:
    return await shop.store.claim(
        limit=limit, lease=LEASE, owner="host:1:a", most=most or {}, **more
    )


def ids(batch: Batch) -> Sequence[str]:
    return [each.message.id for each in batch.claims]


async def stand_aside(shop: Shop, *ids: str) -> None:
    await put(shop, "slow", *ids)
    assert (await claim(shop, most=NOTHING)).moved == len(ids)


async def aside(store: MongoStore, id: str) -> bool:
    found = await store.where(id)
    assert found is not None
    return found.aside


async def test_a_collection_of_the_version_before_is_marked_by_migrating_alone(shop: Shop) -> None:
    await shop.leases.update_one({"_id": "duly"}, {"$unset": {"lines": ""}})
    await shop.messages.drop_index("duly_aside")
    await put(shop, "slow", "a", "b", "c")
    store = shop.another()
    await store.open()  # which makes the index
    (doubt,) = await store.check()
    assert "earlier version" in doubt
    assert "migrate()" in doubt
    assert ids(await claim(shop, 1, NOTHING)) == ["a"]
    (statement,) = await store.migrate()
    assert statement.startswith('db.getCollection("messages.leases").updateOne({"_id": "duly"}')
    assert [*await store.check()] == []
    batch = await claim(shop, most=NOTHING)  # one that was open notices
    assert (ids(batch), batch.moved) == ([], 2)
    assert await shop.leases.find_one({"_id": "duly"}) == {
        "_id": "duly", "version": 1, "usable_from": 1, "lines": True,
    }  # fmt: skip
    await store.close()


async def test_settings_that_are_gone_are_those_of_an_older_collection(shop: Shop) -> None:
    """Nobody knows what made the messages that are there."""
    await put(shop, "slow", "a")
    await shop.leases.delete_many({})
    batch = await claim(shop, most=NOTHING)
    assert (ids(batch), batch.moved) == (["a"], 0)
    (statement,) = await shop.store.migrate(dry_run=True)
    assert "lines" in statement


async def test_the_version_before_leaves_alone_what_stands_aside(shop: Shop) -> None:
    await stand_aside(shop, "a", "b")
    await put(shop, "fast", "c")
    assert await seen_by_it(shop) == ["c"]
    assert ids(await claim(shop)) == ["a", "b", "c"]


async def test_what_the_version_before_moves_is_delivered_once(shop: Shop) -> None:
    """It takes what stands aside for a dead letter, and may replay it: then that is in line."""
    await stand_aside(shop, "a", "b", "c")
    await moved_by_it(shop, "b")
    assert await seen_by_it(shop) == ["b"]
    assert [await aside(shop.store, id) for id in "abc"] == [True, False, True]
    stats = await shop.store.stats()
    assert (stats.scheduled, stats.aside) == (3, 2)
    batch = await claim(shop, 1, {"slow": 1})
    assert ids(batch) == ["a"]
    settle = [Settle(batch.token or "")]
    batch = await claim(shop, most=NOTHING, settle=settle)
    assert (ids(batch), batch.moved) == ([], 1)
    assert ids(await claim(shop)) == ["c", "b"]
    assert not (await claim(shop)).more


async def test_what_the_version_before_moved_away_leaves_no_siding(shop: Shop) -> None:
    await stand_aside(shop, "a")
    await moved_by_it(shop, "a")
    batch = await claim(shop)
    assert (ids(batch), batch.moved, batch.aside) == (["a"], 0, False)
    assert "aside" not in (await shop.messages.find_one({"_id": "a"}) or {})


async def test_one_that_cannot_be_read_comes_out_of_its_siding(shop: Shop) -> None:
    await stand_aside(shop, "a", "b", "newer")
    await shop.messages.update_one({"_id": "a"}, {"$set": {"metadata": Binary(b"\x80")}})
    await shop.messages.update_one({"_id": "newer"}, {"$set": {"format": 99}})
    batch = await claim(shop)
    assert (ids(batch), [each.id for each in batch.unreadable], batch.newer) == (["b"], ["a"], 1)
    waits = await shop.store.where("newer")
    assert waits is not None
    assert (waits.state, waits.aside) == (State.SCHEDULED, False)


@pytest.mark.parametrize("name", [7, None, Binary(b"slow")])
async def test_a_message_whose_name_is_none_is_not_moved(shop: Shop, name: object) -> None:
    await put(shop, "slow", "a", "b", "c")
    await shop.messages.update_one({"_id": "b"}, {"$set": {"event_name": name}})
    batch = await claim(shop, most=NOTHING)
    assert (ids(batch), batch.moved) == ([], 2)
    assert [each.id for each in batch.unreadable] == ["b"]
    assert ids(await claim(shop)) == ["a", "c"]


@pytest.mark.parametrize("mark", [{"$unset": {"aside": ""}}, {"$set": {"aside": {"name": 7}}}])
async def test_one_that_lost_its_siding_waits_in_line_again(shop: Shop, mark: Any) -> None:
    await stand_aside(shop, "a", "b")
    await shop.messages.update_one({"_id": "b"}, mark)
    assert ids(await claim(shop)) == ["a"]
    await claim(shop)
    assert ids(await claim(shop)) == ["b"]
    assert not (await shop.store.stats()).aside


async def test_one_without_a_place_is_noticed_while_names_are_held_back(shop: Shop) -> None:
    await put(shop, "slow", "a", "b")
    await shop.messages.update_one({"_id": "b"}, {"$set": {"due": "nowhere"}})
    batch = await claim(shop, most=NOTHING)
    assert [each.id for each in batch.unreadable] == ["b"]
    assert (await claim(shop, most=NOTHING)).moved == 1


async def test_behind_what_fills_a_page_others_are_found(shop: Shop) -> None:
    await put(shop, "slow", *(f"s{number:03}" for number in range(120)))
    await put(shop, "fast", "f1", "f2")
    shop.asked.take()
    batch = await claim(shop, 1, {"slow": 0})
    assert (ids(batch), batch.moved, batch.more) == (["f1"], 120, True)
    assert shop.asked.take().count("aggregate") <= 3


async def test_suspects_behind_many_that_are_passed_over(shop: Shop) -> None:
    await put(shop, "slow", *(f"s{number:02}" for number in range(45)))
    await put(shop, "other", "o1")
    suspect = {"$set": {"status": "suspect", "lapses": 2}}
    await shop.messages.update_many({}, suspect)
    assert ids(await claim(shop, most={"slow": 0})) == ["o1"]
    assert ids(await claim(shop, most={"slow": 0})) == []
    assert ids(await claim(shop, most={"slow": 1})) == ["s00"]


async def test_what_a_claim_costs_that_looks_at_names(shop: Shop) -> None:
    await claim(shop)
    await put(shop, "slow", "a", "b")
    await put(shop, "fast", "c", "d")
    shop.asked.take()
    assert ids(await claim(shop, 1, {"other": 0})) == ["a"]
    assert shop.asked.take() == ["aggregate", "find", "insert", "update"]
    assert ids(await claim(shop, 1, {"slow": 0})) == ["c"]
    assert shop.asked.take() == ["aggregate", "find", "update", "insert", "update"]
    assert ids(await claim(shop, 1, {"slow": 0})) == ["d"]
    assert shop.asked.take() == ["aggregate", "aggregate", "find", "insert", "update"]
    assert ids(await claim(shop)) == ["b"]
    assert shop.asked.take() == ["aggregate", "aggregate", "aggregate", "find", "insert", "update"]
    assert ids(await claim(shop)) == []
    assert shop.asked.take() == ["aggregate"]


async def test_what_is_moved_aside_and_taken_wakes_nobody(mongo_url: str) -> None:
    async with opened(mongo_url) as shop:
        await put(shop, "slow", "a", "b")
        async with shop.messages.watch(wakeups._NEWS[:1]) as news:
            await news.try_next()  # by then it listens
            assert (await claim(shop, most=NOTHING)).moved == 2
            assert len((await claim(shop)).claims) == 2
            await put(shop, "fast", "c")
            heard = await asyncio.wait_for(news.next(), 30)
        assert heard["documentKey"] == {"_id": "c"}
