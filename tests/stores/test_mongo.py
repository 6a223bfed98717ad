"""The MongoDB store is held to the contract on a real server, by handles of both kinds."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from bson.binary import Binary
from pymongo import AsyncMongoClient
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import DATABASE, MongoHarness
from tests.stores.through_a_gate import APART, AwayCases

from duly.store import Clock
from duly.testing.crash_cases import CrashPointCases, RandomLifeCases
from duly.testing.stores import (
    CallerCases,
    DueBetweenCases,
    EnsureCases,
    FirstStepCases,
    ForecastCases,
    HealthCases,
    HistoryCases,
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
    TakeoverTransactionCases,
    TransactionCases,
    WakeupCases,
    WhereCases,
)
from duly.testing.stores.within import WithinHarness
from duly_mongo import MongoStore, namespace
from duly_mongo.clients import store_from_url
from duly_mongo.handles import in_session, resolve

__all__ = ["mongo_url"]  # fixtures are found by their names


class InTransactions(MongoHarness, WithinHarness):
    """Stores whose callers have transactions of their own."""

    waits_for_transactions = "a write beside a transaction waits for its end, on the server"

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


class WithMore(
    InTransactions,
    TransactionCases,
    ForecastCases,
    DueBetweenCases,
    ListingWithoutPayloadsCases,
    NameStatsCases,
    OverdueCases,
    NoteCases,
    TakeoverCases,
    TakeoverTransactionCases,
    WakeupCases,
    WhereCases,
    EnsureCases,
    RecordCases,
):
    """What it can do beyond the contract."""

    no_outages = no_connections = no_secrets = APART

    async def damage(self, namespace: str, id: str) -> None:
        await self._change(namespace, id, metadata=Binary(b"\x80"))

    async def age(self, namespace: str, id: str) -> None:
        await self._change(namespace, id, format=99)

    async def _change(self, namespace: str, id: str, **fields: Any) -> None:
        messages = self.database(namespace)[namespace]
        assert (await messages.update_one({"_id": id}, {"$set": fields})).matched_count


class TestByMotor(WithMore, StoreSuite):
    """All cases, by the handles that a URL opens."""


@pytest.mark.slow
class TestByPyMongo(WithMore, HistoryCases, CallerCases, FirstStepCases):
    """By PyMongo's own asynchronous handles, which answer alike: every verb, and them at random."""

    connect = staticmethod(AsyncMongoClient)
    scale = 0.01
    histories = 10


@pytest.mark.slow
class TestAway(HealthCases, NoteOutageCases, TakeoverOutageCases, AwayCases, MongoHarness):
    """The server is taken away."""

    no_secrets = "the server of the tests knows no passwords"

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(namespace, "PATIENCE", 2.0)

    async def make_store(self, namespace: str, clock: Clock | None) -> MongoStore:
        self.clients.setdefault(namespace, self.connect(self.url))
        options = "directConnection=true&serverSelectionTimeoutMS=500"
        url = f"{await self.gated(namespace)}/{DATABASE}?collection={namespace}&{options}"
        store = store_from_url(url)
        store._clock = clock
        return store


class TestMigration(MongoHarness, MigrationCases):
    """Of a collection without indexes."""

    async def make_without_schema(self, namespace: str) -> MongoStore:
        await self.make_store(namespace, None)
        store = MongoStore(self.database(namespace), collection=namespace, auto_migrate=False)
        await store.open()
        return store


@pytest.mark.slow
class TestCrashPoints(MongoHarness, CrashPointCases):
    """A scheduler is killed at every call of the store."""

    scale = 0.05


@pytest.mark.slow
class TestRandomLives(MongoHarness, RandomLifeCases):
    """Random lives of several schedulers."""

    scale = 0.05
