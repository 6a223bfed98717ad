"""Sidings in MongoDB, with transactions and without, by handles of both kinds."""

from typing import Any

import pytest
from pymongo import AsyncMongoClient
from tests.servers.mongo import lone_mongo_url, mongo_url
from tests.stores.mongo_kit import MongoHarness
from tests.stores.test_mongo import InTransactions
from tests.stores.test_mongo_alone import OneByOne

from duly.store import Clock
from duly.testing.stores import (
    LineCases,
    LineMarkCases,
    LineTransactionCases,
    lines_moving,
    model_lines,
)
from duly.testing.stores.lines_moving import LineMovingCases
from duly.testing.stores.lines_races_moving import LineMoveRaceCases
from duly_mongo import MongoStore, lines, looking

__all__ = ["lone_mongo_url", "mongo_url"]  # fixtures are found by their names


class Marked(MongoHarness, LineMarkCases):
    """Whose mark can be taken away."""

    scale = 0.01
    line_histories = 300
    closed_names = 110

    @pytest.fixture(autouse=True)
    def _fewer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The server of the tests is slow: the same with fewer messages."""
        for where in (lines, looking, lines_moving, model_lines):
            monkeypatch.setattr(where, "LOOKED_AT", 120)

    async def unmark(self, namespace: str) -> None:
        leases = self.database(namespace)[f"{namespace}.leases"]
        await leases.update_one({"_id": "duly"}, {"$unset": {"lines": ""}})


class TestLines(InTransactions, Marked, LineTransactionCases, LineCases):
    """By Motor, in a replica set."""


class Alone(Marked):
    """By PyMongo's own handles, on a server without transactions."""

    connect = staticmethod(AsyncMongoClient)

    @pytest.fixture(autouse=True)
    def _server(self, lone_mongo_url: str) -> None:
        self.url = lone_mongo_url
        self.clients: dict[str, Any] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> MongoStore:
        if namespace not in self.clients:
            self.clients[namespace] = self.connect(self.url)
        return OneByOne(self.database(namespace), collection=namespace, clock=clock)


@pytest.mark.slow
class TestLinesAlone(Alone, LineMoveRaceCases, LineMovingCases):
    """What is moved, and who comes in between: all else is the same code with and without."""


@pytest.mark.slow
class TestAllLinesAlone(Alone, LineCases):
    """All of it."""
