"""What the tests of the MongoDB store share: a client of their own, and what it was asked."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo.monitoring import CommandListener

from duly.testing.clock import HandClock
from duly_mongo import MongoStore

DATABASE = "duly_test_of_mongo"
COLLECTION = "messages"

_UNASKED = {"hello", "isMaster", "ping", "endSessions", "killCursors", "saslStart", "saslContinue"}


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
