"""The MongoDB store is held to the contract on a real server, by handles of both kinds."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.binary import Binary
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient
from tests.servers.mongo import lone_mongo_url, mongo_url

from duly.store import Clock
from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import (
    RecordCases,
    StoreHarness,
    StoreSuite,
    TransactionCases,
    WakeupCases,
)
from duly_mongo import MongoStore
from duly_mongo.handles import in_session, resolve

__all__ = ["lone_mongo_url", "mongo_url"]  # fixtures are found by their names

DATABASE = f"duly_test_{uuid.uuid4().hex[:12]}"


class MongoHarness(StoreHarness):
    """Stores over one client, of the kind that ``connect`` makes."""

    scale = 0.1
    patience = 4.0
    histories = 50
    connect: Any = staticmethod(AsyncIOMotorClient)

    @pytest.fixture(autouse=True)
    def _server(self, mongo_url: str) -> None:
        self.url = mongo_url
        self.clients: dict[str, Any] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> MongoStore:
        if namespace not in self.clients:  # each is of the event loop that its namespace is used on
            self.clients[namespace] = self.connect(self.url)
        return MongoStore(self.database(namespace), collection=namespace, clock=clock)

    def database(self, namespace: str) -> Any:
        return self.clients[namespace][DATABASE]

    async def drop(self, namespace: str) -> None:
        client = self.clients.pop(namespace)
        for name in (namespace, f"{namespace}.leases"):
            await client[DATABASE].drop_collection(name)
        await resolve(client.close())


class WithMore(MongoHarness, TransactionCases, WakeupCases, RecordCases):
    """What it can do beyond the contract."""

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[Any]:
        async with in_session(self.clients[namespace]) as session:
            async with await resolve(session.start_transaction()):
                yield session

    async def damage(self, namespace: str, id: str) -> None:
        await self._change(namespace, id, metadata=Binary(b"\x80"))

    async def age(self, namespace: str, id: str) -> None:
        await self._change(namespace, id, format=99)

    async def _change(self, namespace: str, id: str, **fields: Any) -> None:
        messages = self.database(namespace)[namespace]
        assert (await messages.update_one({"_id": id}, {"$set": fields})).matched_count


class TestByMotor(WithMore, StoreSuite):
    """All cases, by the handles that a URL opens."""


class TestByPyMongo(WithMore, StoreSuite):
    """All cases once more, in their smallest sizes, by PyMongo's own asynchronous handles."""

    connect = staticmethod(AsyncMongoClient)
    scale = 0.01
    histories = 5


class TestCrashPoints(MongoHarness, CrashPointCases):
    """A scheduler is killed at every call of the store."""

    scale = 0.05


class TestRandomLives(MongoHarness, RandomLifeCases):
    """Random lives of several schedulers."""

    scale = 0.05
