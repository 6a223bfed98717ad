"""The memory store is held to the contract."""

from duly.memory import MemoryStore
from duly.store import Clock, Store
from duly.testing.stores import (
    DueBetweenCases,
    EnsureCases,
    ForecastCases,
    LineCases,
    NameStatsCases,
    NoteCases,
    OverdueCases,
    StoreSuite,
    TakeoverCases,
    WakeupCases,
    WhereCases,
)

pytest_plugins = ["duly.testing"]


class TestMemoryStore(
    ForecastCases,
    DueBetweenCases,
    NameStatsCases,
    OverdueCases,
    WakeupCases,
    NoteCases,
    TakeoverCases,
    WhereCases,
    EnsureCases,
    LineCases,
    StoreSuite,
):
    """All cases; there are no records, no transactions and no other process."""

    no_outages = no_connections = "it is in the process itself"
    no_secrets = "it is made without a password"

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        stores: dict[str, MemoryStore] = self.__dict__.setdefault("stores", {})
        return stores.setdefault(namespace, MemoryStore(clock=clock))
