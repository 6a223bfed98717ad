"""Crash points and random lives of stores whose time is real: sockets, threads, own timers."""

from pathlib import Path
from typing import Any, cast

import pytest
from tests.core.socket_store import Server, SocketStore

from duly.memory import MemoryStore
from duly.store import Batch, Clock, Settle, Store
from duly.testing.crash_cases import CrashPointCases, CrowdedLifeCases, RandomLifeCases
from duly.testing.stores import StoreHarness
from duly_sqlite import SQLiteStore


class OverSockets(StoreHarness):
    kind = MemoryStore

    def setup_method(self) -> None:
        self.servers: dict[str, tuple[Server, int]] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        if namespace not in self.servers:
            assert clock is not None
            server = Server(self.kind, clock)
            self.servers[namespace] = server, await server.start()
        _, port = self.servers[namespace]
        return cast(Store, SocketStore(port))

    async def drop(self, namespace: str) -> None:
        server, _ = self.servers.pop(namespace)
        await server.stop()


class TestCrashPointsOverSockets(OverSockets, CrashPointCases):
    pass


class TestRandomLivesOverSockets(OverSockets, RandomLifeCases):
    pass


class OnFiles(StoreHarness):
    scale = 0.25

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_store(self, namespace: str, clock: Clock | None) -> SQLiteStore:
        return SQLiteStore(self.folder / namespace, clock=clock)


class TestCrashPointsOnFiles(OnFiles, CrashPointCases):
    pass


class TestRandomLivesOnFiles(OnFiles, RandomLifeCases):
    pass


class TestCrowdsOnFiles(OnFiles, CrowdedLifeCases):
    pass


class DeletesWhatLapsed(MemoryStore):
    """Where nobody dies all goes well, but for the one whose claimant is dead from the start."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        lapsed = [
            claim.key for claim in batch.claims if claim.lapses and claim.message.id != "haunted"
        ]
        if batch.token is not None and lapsed:
            await super().settle([Settle(batch.token, only=lapsed)])
        return batch


async def test_a_store_that_loses_what_lapsed_is_found_out():
    class Harness(OverSockets, CrashPointCases):
        kind = DeletesWhatLapsed

    harness = Harness()
    harness.setup_method()
    with pytest.raises(AssertionError, match="killed at crash point"):
        await harness.test_every_await_may_be_the_last(0)
