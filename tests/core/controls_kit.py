"""What the tests of controls share: a store with notes that can be cut off, and what was begun."""

from collections.abc import Sequence
from typing import Any

from tests.core.engine_kit import Probed, WakingStore

from duly import Client, Message
from duly.memory import MemoryStore
from duly.store import Group

__all__ = ["NotedStore", "NotedStoreWithLines", "begun", "beside", "most_in", "put"]


class NotedStore(WakingStore):
    """A store that keeps notes, and has no sidings; its calls for notes are noted, and may fail."""

    def __init__(self, inner: MemoryStore | None = None) -> None:
        super().__init__()
        if inner is not None:
            self.inner = inner

    async def read_note(self, name: str) -> Any:
        return await self._call("read_note", lambda: self._memory.read_note(name))

    async def write_note(self, name: str, value: bytes | None, revision: str | None) -> Any:
        return await self._call(
            "write_note", lambda: self._memory.write_note(name, value, revision)
        )

    async def notes(self, prefix: str) -> Any:
        return await self._call("notes", lambda: self._memory.notes(prefix))

    @property
    def _memory(self) -> MemoryStore:
        assert isinstance(self.inner, MemoryStore)
        return self.inner


class NotedStoreWithLines(NotedStore):
    """The same, with sidings."""

    lines = True


def beside(store: NotedStore) -> Client:
    """Somebody else's client of the same messages, whom no fault of the store troubles."""
    return Client(store.inner, load_plugins=False)


async def put(store: NotedStore, messages: Sequence[Message]) -> None:
    """Store them."""
    outcomes = await store.inner.put([Group([each]) for each in messages])
    assert list(outcomes) == [None] * len(messages)


def begun(name: str, *transports: Probed, since: float = 0.0) -> list[float]:
    """When publishes of a name began, in order."""
    return sorted(
        time
        for transport in transports
        for time, envelope in transport.begun
        if envelope.event_name == name and time >= since
    )


def most_in(times: Sequence[float], seconds: float) -> int:
    """The most that began within so many seconds."""
    most = first = 0
    for last, time in enumerate(times):
        while time - times[first] >= seconds:
            first += 1
        most = max(most, last + 1 - first)
    return most
