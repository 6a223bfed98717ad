"""Where a message is, while a claim or a settlement is between two of its steps, and what it costs."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import Shop, opened
from tests.stores.test_mongo_claims import LEASE, Paused, claim, put

from duly import State, Whereabouts
from duly.store import Release, Settle

__all__ = ["mongo_url"]  # fixtures are found by their names


@pytest.fixture
async def shop(mongo_url: str) -> AsyncIterator[Shop]:
    async with opened(mongo_url) as shop:
        yield shop


class Between:
    """Does something once, after the store has looked at what is stored and before it knows."""

    def __init__(self, shop: Shop, act: Any) -> None:
        self._space = shop.store._opened.space
        self._ask, self._act = self._space.aggregate, act
        self.looks = 0
        self._space.aggregate = self  # type: ignore[method-assign, assignment]  # a slow network

    async def __call__(self, *args: Any) -> Any:
        found = await self._ask(*args)
        self.looks += 1
        if self.looks == 1:
            await self._act()
            for each in found:
                each["lease"] = []  # as the server finds it by then
        return found


async def where(shop: Shop, id: str) -> Whereabouts:
    found = await shop.store.where(id)
    assert found is not None
    return found


async def test_it_takes_one_command_by_ids(shop: Shop) -> None:
    await put(shop, "a", "b", "c")
    await claim(shop.store, 1, "host:0")
    shop.asked.take()
    for id in ("a", "b", "unknown"):
        await shop.store.where(id)
    commands = shop.asked.commands
    assert [next(iter(each)) for each in commands] == ["aggregate"] * 3
    for command, id in zip(commands, ("a", "b", "unknown"), strict=True):
        match, *_ = command["pipeline"]
        assert match == {"$match": {"_id": id}}
        (lookup,) = [each["$lookup"] for each in command["pipeline"] if "$lookup" in each]
        assert lookup["foreignField"] == "_id"


async def test_several_stores_tell_the_same(shop: Shop) -> None:
    await put(shop, "a", "b", "c")
    stores = [shop.store, shop.another(), shop.another()]
    for number, store in enumerate(stores):
        await store.open()
        await claim(store, 1, f"host:{number}")
    for store in stores:
        found = [await store.where(id) for id in ("a", "b", "c")]
        assert [each and each.owner for each in found] == ["host:0", "host:1", "host:2"]
    for store in stores[1:]:
        await store.close()


async def test_one_that_is_settled_between_message_and_lease(shop: Shop) -> None:
    await put(shop, "a", "b")
    batch = await claim(shop.store)
    assert shop.clock is not None
    at = shop.clock() + timedelta(hours=1)
    release = {each.key: Release(at) for each in batch.claims if each.message.id == "a"}

    async def settle() -> None:
        assert await shop.store.settle([Settle(batch.token or "", release)]) == [True]

    between = Between(shop, settle)
    assert await where(shop, "a") == Whereabouts(state=State.SCHEDULED, due_at=at)
    assert between.looks == 2
    assert await shop.store.where("b") is None


async def test_one_that_another_claims_between_message_and_lease(shop: Shop) -> None:
    await put(shop, "a")
    batch = await claim(shop.store, 1, "first")
    other = shop.another()
    await other.open()

    async def hand_on() -> None:
        assert shop.clock is not None
        release = {each.key: Release(shop.clock()) for each in batch.claims}
        assert await other.settle([Settle(batch.token or "", release)]) == [True]
        assert len((await claim(other, 1, "second")).claims) == 1

    between = Between(shop, hand_on)
    assert (await where(shop, "a")).owner == "second"
    assert between.looks == 2
    await other.close()


async def test_what_has_no_lease_is_in_nobodys_hands(shop: Shop) -> None:
    """Until a scheduler finds it, within a minute."""
    await put(shop, "a")
    batch = await claim(shop.store)
    await shop.leases.delete_one({"_id": batch.token})
    shop.asked.take()
    assert await where(shop, "a") == Whereabouts(state=State.CLAIMED)
    assert shop.asked.take() == ["aggregate", "aggregate"]


async def test_a_claim_halfway(shop: Shop) -> None:
    """It has written its lease, and marks the messages next."""
    await put(shop, "a")
    paused = Paused(shop.store._opened.space.messages, "update_many")
    claiming = asyncio.create_task(claim(shop.store))
    await paused.reached.wait()
    found = await where(shop, "a")
    assert (found.state, found.owner) == (State.SCHEDULED, None)
    paused.go.set()
    assert len((await claiming).claims) == 1
    assert (await where(shop, "a")).owner == "host:1:a"


async def test_a_settlement_halfway(shop: Shop) -> None:
    """It holds the lease, which lapses only when that is over, and removes the messages next."""
    await put(shop, "a")
    batch = await claim(shop.store)
    assert shop.clock is not None
    start = shop.clock()
    paused = Paused(shop.store._opened.space.messages, "delete_many")
    shop.clock.advance(seconds=LEASE.total_seconds() - 1)
    settling = asyncio.create_task(shop.store.settle([Settle(batch.token or "")]))
    await paused.reached.wait()
    found = await where(shop, "a")
    assert (found.state, found.owner) == (State.CLAIMED, "host:1:a")
    assert found.lease_ends_at is not None
    assert found.lease_ends_at > start + LEASE
    paused.go.set()
    assert await settling == [True]
    assert await shop.store.where("a") is None


async def test_what_somebody_has_changed(shop: Shop) -> None:
    """It is told as far as it can be."""
    await put(shop, "a", "b")
    await shop.messages.update_one({"_id": "a"}, {"$set": {"lapses": "x", "due": 5}})
    await shop.messages.update_one({"_id": "b"}, {"$set": {"status": "odd"}})
    assert await where(shop, "a") == Whereabouts(state=State.SCHEDULED)
    assert await where(shop, "b") == Whereabouts(state=State.DEAD)
