"""The store in which bugs are planted passes every case without them."""

from duly.store import Clock, Store
from duly.testing.stores import StoreSuite
from duly.testing.stores.plain import PlainStore


class TestPlainStore(StoreSuite):
    scale = 0.3

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        stores: dict[str, PlainStore] = self.__dict__.setdefault("stores", {})
        return stores.setdefault(namespace, PlainStore(clock=clock))
