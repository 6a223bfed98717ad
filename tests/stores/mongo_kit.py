"""What the tests of the MongoDB store share: a client of their own, and what it was asked."""

import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener

from duly.store import Clock
from duly.testing.clock import HandClock
from duly.testing.stores import StoreHarness
from duly_mongo import MongoStore
from duly_mongo.handles import resolve

DATABASE = f"duly_test_{uuid.uuid4().hex[:12]}"
COLLECTION = "messages"

_UNASKED = {"hello", "isMaster", "ping", "endSessions", "killCursors", "saslStart", "saslContinue"}


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
        for name in (namespace, f"{namespace}.leases", f"{namespace}.floors", f"{namespace}.notes"):
            await client[DATABASE].drop_collection(name)
        await resolve(client.close())


class Asked(CommandListener):
    """Notes the commands that go over the wire, but for those of the driver's own."""

    def __init__(self) -> None:
        self.commands: list[Mapping[str, Any]] = []

    def started(self, event: Any) -> None:
        if event.command_name not in _UNASKED:
            self.commands.append(dict(event.command))

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass

    def take(self) -> list[str]:
        """What was asked since last time: the names of the commands."""
        names = [next(iter(command)) for command in self.commands]
        self.commands.clear()
        return names


class Shop:
    """A store on a fresh namespace, with a client of its own and a clock turned by hand."""

    def __init__(self, url: str, *, clock: HandClock | None) -> None:
        self.asked = Asked()
        self.clock = clock
        self.client: Any = AsyncIOMotorClient(url, event_listeners=[self.asked])
        self.database = self.client[DATABASE]
        self.store = self.another()

    def another(self, **options: Any) -> MongoStore:
        return MongoStore(self.database, collection=COLLECTION, clock=self.clock, **options)

    @property
    def messages(self) -> Any:
        return self.database[COLLECTION]

    @property
    def leases(self) -> Any:
        return self.database[f"{COLLECTION}.leases"]


@asynccontextmanager
async def opened(url: str, *, by_hand: bool = True) -> AsyncIterator[Shop]:
    """A shop whose store is open, and that is cleared away afterwards."""
    shop = Shop(url, clock=HandClock() if by_hand else None)
    await shop.client.drop_database(DATABASE)
    await shop.store.open()
    try:
        shop.asked.take()
        yield shop
    finally:
        await shop.store.close()
        await shop.client.drop_database(DATABASE)
        shop.client.close()


def parts(value: Any) -> Iterator[tuple[str, Any]]:
    """Every name in a command with what stands behind it, however deep."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield name, inner
            yield from parts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from parts(inner)
