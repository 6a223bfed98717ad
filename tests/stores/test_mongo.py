"""The MongoDB store is held to the contract on a real server, by handles of both kinds."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from bson.binary import Binary
from pymongo import AsyncMongoClient
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import MongoHarness

from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import (
    RecordCases,
    StoreSuite,
    TransactionCases,
    WakeupCases,
)
from duly_mongo.handles import in_session, resolve

__all__ = ["mongo_url"]  # fixtures are found by their names


class WithMore(MongoHarness, TransactionCases, WakeupCases, RecordCases):
    """What it can do beyond the contract."""

    @contextlib.asynccontextmanager
    async def transaction(self, namespace: str) -> AsyncIterator[Any]:
        async with self._transaction_of(self.clients[namespace]) as session:
            yield session

    @contextlib.asynccontextmanager
    async def transaction_elsewhere(self) -> AsyncIterator[Any]:
        client = self.connect(self.url)  # a session is of one client, whatever that leads to
        async with self._transaction_of(client) as session:
            yield session
        await resolve(client.close())

    @contextlib.asynccontextmanager
    async def _transaction_of(self, client: Any) -> AsyncIterator[Any]:
        async with in_session(client) as session:
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
