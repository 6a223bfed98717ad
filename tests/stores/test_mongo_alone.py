"""A MongoDB that is no member of a replica set: without transactions and change streams."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from tests.servers.mongo import lone_mongo_url
from tests.stores.mongo_kit import MongoHarness, Shop, opened

import duly
from duly import Every, Message, Unsupported, after
from duly.store import Clock, Group
from duly.testing.stores import (
    EnsureCases,
    NoteCases,
    RecurringCases,
    SettlingCases,
    TakeoverCases,
    WhereCases,
)
from duly_mongo import MongoStore

__all__ = ["lone_mongo_url"]  # fixtures are found by their names


class OneByOne(MongoStore):
    """Stores groups message by message, as ``atomic=False`` does."""

    async def put(
        self, groups: Sequence[Group], *, within: Any = None
    ) -> Sequence[Exception | None]:
        single = [
            Group([each], group.replace, group.as_is) for group in groups for each in group.messages
        ]
        outcomes = iter(await super().put(single, within=within))
        return [
            next((each for each in [next(outcomes) for _ in group.messages] if each), None)
            for group in groups
        ]


@pytest.mark.slow
class TestAlone(
    MongoHarness,
    SettlingCases,
    RecurringCases,
    WhereCases,
    EnsureCases,
    NoteCases,
    TakeoverCases,
):
    """What a scheduler relies on does without transactions."""

    scale = 0.01
    no_outages = "tried on a replica set, in test_mongo.py"

    @pytest.fixture(autouse=True)
    def _server(self, lone_mongo_url: str) -> None:
        self.url = lone_mongo_url
        self.clients: dict[str, Any] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> MongoStore:
        if namespace not in self.clients:
            self.clients[namespace] = AsyncIOMotorClient(self.url)
        return OneByOne(
            self.database(namespace), collection=namespace, clock=clock, auto_migrate=False
        )


@pytest.fixture
async def shop(lone_mongo_url: str) -> AsyncIterator[Shop]:
    async with opened(lone_mongo_url, by_hand=False) as shop:
        yield shop


async def test_several_messages_in_one_step(shop: Shop) -> None:
    messages = [Message("event", scheduled_at=after(hours=1)) for _ in range(3)]
    async with duly.Client(shop.store) as client:
        with pytest.raises(Unsupported, match="no replica set .* give atomic=False"):
            await client.schedule_many(messages)
        assert await client.list() == []
        await client.schedule_many(messages, atomic=False)
        assert len(await client.list()) == 3
        assert await client.cancel_many(duly.Filter(event_name="event")) == 3
        assert (await client.health()).status is duly.Status.HEALTHY


async def test_it_wakes_nobody(shop: Shop) -> None:
    """Schedulers look every ``poll_interval`` instead."""
    assert not hasattr(shop.store, "wait_for_change")
    delivered = asyncio.Event()

    async def deliver(_: duly.Envelope) -> None:
        delivered.set()

    poll = timedelta(milliseconds=50)
    other = shop.another()
    async with (
        duly.Scheduler(shop.store, deliver, poll_interval=poll) as scheduler,
        duly.Client(other) as client,
        scheduler.running(),
    ):
        await client.schedule(Message("event", id="a", scheduled_at=after()))
        await delivered.wait()
    await other.close()


async def test_a_session_has_no_transaction(shop: Shop) -> None:
    async with await shop.client.start_session() as session, duly.Client(shop.store) as client:
        with pytest.raises(duly.InvalidArgument, match="without a transaction"):
            await client.schedule(Message("event", scheduled_at=after()), within=session)


async def test_a_series_with_buried_occurrences(shop: Shop) -> None:
    refused = asyncio.Event()

    async def refuse(envelope: duly.Envelope) -> None:
        if envelope.occurrence == 2:
            refused.set()
        raise duly.Rejected("never")

    every = Every(timedelta(milliseconds=200), max_occurrences=3)
    async with duly.Scheduler(shop.store, refuse) as scheduler:
        await scheduler.schedule(Message("event", id="a", recurrence=every))
        async with scheduler.running():
            await refused.wait()
        letters = await scheduler.list()
    assert len({each.id for each in letters}) == 3
    assert {each.last_error for each in letters} == {"Rejected: never"}
