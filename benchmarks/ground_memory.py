"""The memory store, beside its own claims and settlements without an engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import duly
from benchmarks.load import LEASE, chunks, due
from benchmarks.servers import Servers
from duly.store import Group, Settle, Store

__all__ = ["ground"]


class Memory:
    """Nothing lies beneath it: beside it stands the store alone."""

    name = "memory"
    settings = "gone with the process"
    shared = False

    @asynccontextmanager
    async def fresh(self) -> AsyncIterator[str]:
        yield "memory://"

    def store(self, url: str) -> Store:
        return duly.MemoryStore()

    async def bare_drain(self, count: int, batch: int) -> float:
        store = await _filled(count)
        start = time.perf_counter()
        settle: Sequence[Settle] = ()
        while True:
            claimed = await store.claim(limit=batch, lease=LEASE, owner="bench", settle=settle)
            if claimed.token is None:
                return count / (time.perf_counter() - start)
            settle = [Settle(claimed.token)]

    async def single_drain(self, count: int) -> float | None:
        return None

    async def bare_schedule(self, count: int) -> float:
        store, groups = duly.MemoryStore(), [Group(chunk) for chunk in chunks(due(count))]
        start = time.perf_counter()
        for group in groups:
            await store.put([group])
        return count / (time.perf_counter() - start)

    async def bare_single(self, count: int) -> float | None:
        return None

    async def served(self, seconds: float) -> float | None:
        await asyncio.sleep(seconds)
        return None

    async def at_rest(self) -> None:
        """It does nothing by itself."""

    async def size(self, url: str) -> int | None:
        return None


async def _filled(count: int) -> duly.MemoryStore:
    store = duly.MemoryStore()
    for chunk in chunks(due(count)):
        await store.put([Group(chunk)])
    return store


@asynccontextmanager
async def ground(servers: Servers) -> AsyncIterator[Memory]:
    yield Memory()
