"""Journeys on MongoDB: schedulers that die, a server that restarts or hangs, the caller's verbs."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from tests.journeys.kit import Journey, batch, ids_of, settled_down, slow
from tests.journeys.props import Gate
from tests.servers.mongo import MongoServer, mongo_url

from duly import Cancellation, Client, Message, MessageNotFound, StoreUnavailable, after
from duly_mongo import MongoStore

__all__ = ["mongo_url"]  # fixtures are found by their names

DATABASE = f"duly_journeys_{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def journey(tmp_path: Path, mongo_url: str) -> AsyncIterator[Journey]:
    collection = f"messages_{uuid.uuid4().hex[:8]}"
    async with Journey(tmp_path, f"{mongo_url}/{DATABASE}?collection={collection}") as journey:
        yield journey
    client: Any = AsyncIOMotorClient(mongo_url)
    await client.drop_database(DATABASE)
    client.close()


@pytest.fixture
def server() -> Iterator[MongoServer]:
    """One that may be killed."""
    with MongoServer() as server:
        yield server


async def test_a_scheduler_is_killed(journey: Journey, gate: Gate) -> None:
    gated = batch(30, "gated", metadata=gate.metadata)
    messages = [*gated, *batch(40), *batch(10, due=2, prefix="later")]
    await journey.client.schedule_many(messages)
    first = await journey.start(lease=2, batch=30, slots=20)
    await first.noted("settled", 30)
    await first.kill()
    gate.open()
    held, settled = await settled_down(journey), set(first.ids("settled"))
    assert held.claimed > 0
    second = await journey.start(lease=30)
    await journey.emptied()
    await second.stop()
    assert set(journey.count("done")) == ids_of(messages)
    assert not journey.early()
    doubled = {id for id, times in journey.count("begun").items() if times > 1}
    assert set(first.ids("begun")) & ids_of(gated) <= doubled <= first.unsettled()
    assert not settled & set(second.ids("begun"))
    assert sum(note.attempt == 2 for note in second.notes("begun")) == held.claimed
    assert (await journey.client.stats()).dead == 0


async def test_two_schedulers_on_one_backlog(journey: Journey) -> None:
    messages = slow(120, 0.02, due=-5)
    workers = [await journey.start(batch=10, slots=10) for _ in range(2)]
    await journey.client.schedule_many(messages)
    await journey.emptied()
    for worker in workers:
        await worker.stop()
    assert journey.count("begun") == dict.fromkeys(ids_of(messages), 1)
    assert journey.count("settled") == dict.fromkeys(ids_of(messages), 1)
    assert all(worker.ids("done") for worker in workers)
    assert not journey.early()


async def test_woken_by_another_process(journey: Journey) -> None:
    worker = await journey.start()
    await asyncio.sleep(1.5)  # until it is fast asleep
    soon = [Message("quick", id=f"soon-{each}", scheduled_at=after()) for each in range(3)]
    for message in soon:
        await journey.client.schedule(message)
        await worker.noted("done", soon.index(message) + 1)
    await worker.stop()
    assert not journey.early()


async def test_cancelled_and_replaced_in_flight(journey: Journey, gate: Gate) -> None:
    held = batch(4, "gated", metadata=gate.metadata)
    await journey.client.schedule_many(held)
    worker = await journey.start(slots=20)
    await worker.noted("begun", 4)
    assert await journey.client.cancel("gated-0") is Cancellation.TOO_LATE
    new = Message("quick", b"new", id="gated-1", scheduled_at=after())
    await journey.client.schedule(new, replace=True)
    with pytest.raises(MessageNotFound):
        await journey.client.cancel("gated-0")
    later = Message("quick", id="gated-0", scheduled_at=after(hours=1))
    await journey.client.schedule(later)  # the id is free at once
    await worker.noted("settled", 1)  # the new one does not wait for what it replaces
    gate.open()
    await journey.emptied(but=1)
    await worker.stop()
    assert journey.count("done") == {f"gated-{each}": 1 for each in (0, 2, 3)} | {"gated-1": 2}
    delivered = [note.delivery_id for note in journey.notes("done") if note.id == "gated-1"]
    assert len({*delivered}) == 2
    (left,) = await journey.client.list()
    assert (left.id, left.created_at) == ("gated-0", later.created_at)


async def test_within_a_transaction(journey: Journey, mongo_url: str) -> None:
    client: Any = AsyncIOMotorClient(mongo_url)
    orders = client[DATABASE]["orders"]
    await orders.insert_one({"_id": 0})
    collection = journey.store.rpartition("=")[2]
    worker = await journey.start()
    store = MongoStore(client[DATABASE], collection=collection)
    async with Client(store) as mine, await client.start_session() as session:
        for order in (1, 2):
            session.start_transaction()
            await orders.insert_one({"_id": order}, session=session)
            message = Message("quick", id=f"order-{order}", scheduled_at=after())
            await mine.schedule(message, within=session)
            assert (await journey.client.stats()).scheduled == 0
            await asyncio.sleep(0.3)
            if order == 1:
                await session.abort_transaction()
            else:
                await session.commit_transaction()
        await worker.noted("done", 1)
        await mine.schedule(Message("quick", id="later", scheduled_at=after(hours=1)))
        async with session.start_transaction():
            assert await mine.cancel("later", within=session)
    await store.close()
    await journey.emptied()
    await worker.stop()
    assert [each["_id"] async for each in orders.find()] == [0, 2]
    client.close()
    assert journey.count("done") == {"order-2": 1}


async def test_the_server_is_killed_and_started_again(
    tmp_path: Path, server: MongoServer, gate: Gate
) -> None:
    messages = [*batch(20), *batch(20, "gated", metadata=gate.metadata)]
    async with Journey(tmp_path, f"{server.url}/journey") as journey:
        await journey.client.schedule_many(messages)
        worker = await journey.start(lease=60)
        await worker.noted("settled", 20)
        server.kill()
        gate.open()
        with pytest.raises(StoreUnavailable):
            await journey.client.schedule(Message("quick", id="lost", scheduled_at=after()))
        await worker.says("the store")
        server.start()
        meanwhile = Message("quick", id="meanwhile", scheduled_at=after())
        await journey.client.schedule(meanwhile)
        await journey.emptied()
        await worker.says("all is well")
        await worker.stop()
        done = set(worker.ids("done")) - {"lost"}  # nobody knows whether it was stored
        assert done == ids_of(messages) | {"meanwhile"}
        assert set(journey.count("begun").values()) == {1}
        assert not journey.early()
        assert (await journey.client.stats()).dead == 0


@pytest.mark.parametrize("seconds", [3, pytest.param(15, marks=pytest.mark.slow)])
async def test_the_server_hangs(
    tmp_path: Path, server: MongoServer, gate: Gate, seconds: int
) -> None:
    messages = [*batch(20), *batch(20, "gated", metadata=gate.metadata)]
    async with Journey(tmp_path, f"{server.url}/journey") as journey:
        await journey.client.schedule_many(messages)
        worker = await journey.start(lease=60)
        await worker.noted("settled", 20)
        server.freeze()
        try:
            gate.open()
            asking = asyncio.create_task(
                journey.client.schedule(Message("quick", id="asked", scheduled_at=after()))
            )
            await asyncio.sleep(seconds)
        finally:
            server.thaw()
        try:
            await asking
        except StoreUnavailable:
            assert seconds > 10  # store_timeout
        await journey.client.schedule(Message("quick", id="behind", scheduled_at=after()))
        await journey.emptied()
        await worker.stop()
        assert set(worker.ids("done")) - {"asked"} == ids_of(messages) | {"behind"}
        assert set(journey.count("begun").values()) == {1}
        assert (await journey.client.stats()).dead == 0
