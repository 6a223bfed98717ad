"""Claims of the MongoDB store when something comes between their steps."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import Shop, opened

from duly import Message, State
from duly.store import Batch, Group, Release, Settle
from duly_mongo import MongoStore

__all__ = ["mongo_url"]  # fixtures are found by their names

LEASE = timedelta(minutes=5)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def shop(mongo_url: str) -> AsyncIterator[Shop]:
    async with opened(mongo_url) as shop:
        yield shop


async def put(shop: Shop, *ids: str) -> None:
    assert shop.clock is not None
    messages = [Message("event", id=id, scheduled_at=shop.clock()) for id in ids]
    assert [*await shop.store.put([Group([each]) for each in messages])] == [None] * len(ids)


async def claim(store: MongoStore, limit: int = 100, owner: str = "host:1:a", **more: Any) -> Batch:
    return await store.claim(limit=limit, lease=LEASE, owner=owner, **more)


def ids(batch: Batch) -> list[str]:
    return [each.message.id for each in batch.claims]


class Paused:
    """Holds the calls of one method of a collection until it is let go."""

    def __init__(self, collection: Any, method: str) -> None:
        self._method = getattr(collection, method)
        self.reached = asyncio.Event()
        self.go = asyncio.Event()
        setattr(collection, method, self)

    async def __call__(self, *args: Any, **more: Any) -> Any:
        self.reached.set()
        await self.go.wait()
        return await self._method(*args, **more)


async def test_a_claim_that_nobody_waits_for_is_given_back(shop: Shop) -> None:
    await put(shop, "a", "b")
    paused = Paused(shop.store._opened.space.messages, "update_many")
    claiming = asyncio.create_task(claim(shop.store))
    await paused.reached.wait()
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    paused.go.set()
    await shop.store.close()
    assert await shop.leases.count_documents({}) == 1  # the settings
    other = shop.another()
    await other.open()
    batch = await claim(other)
    assert (ids(batch), [each.lapses for each in batch.claims]) == (["a", "b"], [0, 0])
    await other.close()


async def test_a_claim_that_broke_off_is_given_back_by_the_next(shop: Shop) -> None:
    await put(shop, "a", "b")
    messages = shop.store._opened.space.messages
    mark = messages.update_many

    async def mark_and_fail(*args: Any, **more: Any) -> Any:
        await mark(*args, **more)
        messages.update_many = mark
        raise RuntimeError("the connection broke")

    messages.update_many = mark_and_fail
    with pytest.raises(RuntimeError):
        await claim(shop.store)
    assert (await shop.store.stats()).claimed == 2
    batch = await claim(shop.store)
    assert (ids(batch), [each.lapses for each in batch.claims]) == (["a", "b"], [0, 0])


@pytest.mark.parametrize("how", ["failed", "cancelled"])
async def test_what_was_settled_by_a_claim_without_an_answer(shop: Shop, how: str) -> None:
    """Who asks again is told the truth: it was settled in time, and is not settled twice."""
    await put(shop, "a", "b")
    batch = await claim(shop.store, 1)
    said = [Settle(batch.token or "")]
    paused = Paused(shop.store._opened.space.messages, "update_many")
    claiming = asyncio.create_task(claim(shop.store, settle=said))
    await paused.reached.wait()
    if how == "cancelled":
        claiming.cancel()
    else:
        paused._method = None  # which cannot be called
    paused.go.set()
    with pytest.raises((asyncio.CancelledError, TypeError)):
        await claiming
    await asyncio.gather(*shop.store._cleaning)
    shop.store._opened.space.messages.update_many = shop.messages.update_many
    again = await claim(shop.store, settle=said)
    assert (again.settled, ids(again)) == ([True], ["b"])
    assert (await claim(shop.store, settle=said)).settled == [False]


async def test_a_transaction_that_nobody_waits_for_comes_to_its_end(shop: Shop) -> None:
    assert shop.clock is not None
    group = Group([Message("event", id=id, scheduled_at=shop.clock()) for id in ("a", "b")])
    paused = Paused(shop.store._opened.space.messages, "bulk_write")
    putting = asyncio.create_task(shop.store.put([group]))
    await paused.reached.wait()
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert await shop.messages.count_documents({}) == 0
    paused.go.set()
    await shop.store.close()
    assert await shop.messages.count_documents({}) == 2


async def test_a_claim_that_slept_beyond_its_lease_takes_nothing(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, "a")
    late, other = shop.store, shop.another()
    await other.open()
    paused = Paused(late._opened.space.messages, "update_many")
    claiming = asyncio.create_task(claim(late))
    await paused.reached.wait()
    shop.clock.advance(minutes=5)
    await put(shop, "b")
    assert ids(await claim(other, 1)) == ["a"]
    paused.go.set()
    assert not (await claiming).claims
    assert ids(await claim(other)) == ["b"]
    await other.close()


async def test_what_is_in_hand_without_a_lease_comes_back(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, "a", "b")
    batch = await claim(shop.store)
    await shop.leases.delete_one({"_id": batch.token})
    shop.clock.advance(seconds=59)
    assert ids(await claim(shop.store)) == []
    shop.clock.advance(seconds=1)
    batch = await claim(shop.store)
    assert (ids(batch), [each.lapses for each in batch.claims]) == (["a", "b"], [1, 1])


async def test_a_settle_that_died_half_way(shop: Shop) -> None:
    """What it did not come to is still claimed, and comes back when its hold is over as well."""
    assert shop.clock is not None
    await put(shop, "a", "b")
    store, other = shop.store, shop.another()
    await other.open()
    batch = await claim(store)
    shop.clock.advance(seconds=299)
    paused = Paused(store._opened.space.messages, "delete_many")
    settling = asyncio.create_task(store.settle([Settle(batch.token or "")]))
    await paused.reached.wait()
    settling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await settling
    shop.clock.advance(seconds=1)
    looked = await claim(other)
    assert not looked.claims
    assert not looked.more
    assert looked.next_due == shop.clock() + timedelta(seconds=9)
    assert [*await store.settle([Settle(batch.token or "")])] == [False]
    shop.clock.advance(seconds=9)
    assert ids(await claim(other)) == ["a", "b"]
    await other.close()


async def test_a_lapse_waits_for_a_settle_that_began_in_time(shop: Shop) -> None:
    assert shop.clock is not None
    await put(shop, "a", "b")
    store, other = shop.store, shop.another()
    await other.open()
    batch = await claim(store)
    shop.clock.advance(seconds=299)
    paused = Paused(store._opened.space.messages, "bulk_write")
    outcomes = {batch.claims[0].key: Release(shop.clock())}
    settling = asyncio.create_task(store.settle([Settle(batch.token or "", outcomes)]))
    await paused.reached.wait()
    shop.clock.advance(seconds=2)
    assert not (await claim(other)).claims
    paused.go.set()
    assert [*await settling] == [True]
    again = await claim(other)
    assert (ids(again), again.claims[0].lapses) == (["a"], 0)
    assert (await other.stats()).claimed == 1
    await other.close()


async def test_cancelled_between_look_and_mark(shop: Shop) -> None:
    await put(shop, "a", "b", "c")
    paused = Paused(shop.store._opened.space.messages, "update_many")
    claiming = asyncio.create_task(claim(shop.store))
    await paused.reached.wait()
    assert [*await shop.store.cancel(["b"])] == [State.SCHEDULED]
    paused.go.set()
    batch = await claiming
    assert ids(batch) == ["a", "c"]
    assert [*await shop.store.renew([batch.token or ""], LEASE)] == [frozenset()]


async def test_cancelled_between_mark_and_reading_back(shop: Shop) -> None:
    """Who was told that it is in somebody's hands was told the truth."""
    await put(shop, "a", "b", "c")
    other = shop.another()
    await other.open()
    first = Paused(shop.store._opened.space.messages, "update_many")
    claiming = asyncio.create_task(claim(shop.store))
    await first.reached.wait()
    await other.cancel(["a"])  # so that there is something to read back for
    second = Paused(shop.store._opened.space, "find")
    first.go.set()
    await second.reached.wait()
    assert [*await other.cancel(["b"])] == [State.CLAIMED]
    second.go.set()
    batch = await claiming
    assert ids(batch) == ["b", "c"]
    (gone,) = await shop.store.renew([batch.token or ""], LEASE)
    assert gone == {batch.claims[0].key}
    await other.close()


async def test_who_came_too_late_looks_further_back(shop: Shop) -> None:
    names = [f"m{each}" for each in range(9)]
    await put(shop, *names)
    other = shop.another()
    await other.open()
    paused = Paused(shop.store._opened.space.messages, "update_many")
    claiming = asyncio.create_task(claim(shop.store, 3))
    await paused.reached.wait()
    assert ids(await claim(other, 3, "host:2:b")) == names[:3]
    paused.go.set()
    assert ids(await claiming) == names[3:6]  # what was left, in the same claim
    shop.store._opened.claimer._skips = 5
    further = set[str]()
    while not further:  # it may skip what there is, and then begins at the head after all
        batch = await claim(shop.store, 1)
        further = {*ids(batch)} - {names[6]}
        assert batch.more
        await shop.store.settle(
            [Settle(batch.token or "", {batch.claims[0].key: Release(batch.now)})]
        )
        shop.store._opened.claimer._skips = 5
    assert further <= {*names[7:]}
    await other.close()


async def test_crowded_schedulers_keep_out_of_each_others_way(shop: Shop) -> None:
    names = [f"m{each:03}" for each in range(96)]
    await put(shop, *names)
    stores = [shop.store, *[shop.another() for _ in range(3)]]
    for store in stores[1:]:
        await store.open()
    seen: list[str] = []

    async def deliver(number: int, store: MongoStore) -> None:
        settle: list[Settle] = []
        while (batch := await claim(store, 6, f"host:{number}:a", settle=settle)).claims:
            seen.extend(ids(batch))
            settle = [Settle(batch.token or "")]
        await store.settle(settle)

    await asyncio.gather(*(deliver(number, store) for number, store in enumerate(stores)))
    await deliver(9, shop.store)
    assert sorted(seen) == names
    for store in stores[1:]:
        await store.close()


async def test_a_scheduler_alone_keeps_the_order(shop: Shop) -> None:
    names = [f"m{each:02}" for each in range(20)]
    await put(shop, *names)
    seen: list[str] = []
    while (batch := await claim(shop.store, 3)).claims:
        seen += ids(batch)
        await shop.store.cancel([names[min(len(seen), 19)]])  # must not look like a crowd
        seen += [names[min(len(seen), 19)]] if len(seen) < 20 else []
    assert seen == names
