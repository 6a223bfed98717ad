"""Bugs in waking schedulers, and the cases that catch them."""

import asyncio
from typing import Any

import pytest

from duly.memory import MemoryStore
from duly.store import Batch, Clock, Store
from duly.testing.stores import WakeupCases


class ReturnsAtOnce(MemoryStore):
    async def wait_for_change(self) -> None:
        """There may have been a change, so better look."""


class ReturnsAfterATurn(MemoryStore):
    async def wait_for_change(self) -> None:
        await asyncio.sleep(0)


class WakesForEveryClaim(MemoryStore):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._claimed = asyncio.Event()

    async def claim(self, **more: Any) -> Batch:
        self._claimed.set()
        return await super().claim(**more)

    async def wait_for_change(self) -> None:
        changes = [
            asyncio.ensure_future(super().wait_for_change()),
            asyncio.ensure_future(self._claimed.wait()),
        ]
        try:
            await asyncio.wait(changes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in changes:
                each.cancel()
        self._claimed.clear()


class Planted(WakeupCases):
    def __init__(self, kind: type[MemoryStore]) -> None:
        self.kind = kind
        self.stores: dict[str, MemoryStore] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        return self.stores.setdefault(namespace, self.kind(clock=clock))


CAUGHT_BY: dict[type[MemoryStore], str] = {
    ReturnsAtOnce: "test_nobody_is_woken_while_nothing_changes",
    ReturnsAfterATurn: "test_nobody_is_woken_while_nothing_changes",
    WakesForEveryClaim: "test_claims_that_bring_nothing_wake_nobody",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(bug: type[MemoryStore]) -> None:
    case = CAUGHT_BY[bug]
    for kind in (bug, MemoryStore):
        suite = Planted(kind)
        async with suite.bench() as desk:
            if kind is bug:
                with pytest.raises(pytest.fail.Exception):
                    await getattr(suite, case)(desk)
            else:
                await getattr(suite, case)(desk)
