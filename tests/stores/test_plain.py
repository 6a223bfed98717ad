"""The store in which bugs are planted passes every case without them."""

from duly.store import Clock, Store
from duly.testing.stores import (
    DueBetweenCases,
    ForecastCases,
    LineCases,
    ListingWithoutPayloadsCases,
    NameStatsCases,
    NoteCases,
    OverdueCases,
    StoreSuite,
    TakeoverCases,
)
from duly.testing.stores.plain import PlainStore


class TestPlainStore(
    ForecastCases, DueBetweenCases, NameStatsCases, OverdueCases, NoteCases, TakeoverCases, LineCases,
    ListingWithoutPayloadsCases, StoreSuite,
):  # fmt: skip
    scale = 0.3
    no_outages = no_connections = "it is in the process itself"
    no_secrets = "it is made without a password"

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        stores: dict[str, PlainStore] = self.__dict__.setdefault("stores", {})
        return stores.setdefault(namespace, PlainStore(clock=clock))
