"""Bugs in waking schedulers, and the cases that catch them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from duly._memory.places import place_after
from duly.memory import MemoryStore
from duly.message import Message
from duly.store import Batch, Clock, Declared, Ensured, Note, Settle, Store
from duly.testing.stores import (
    NoteCases,
    TakeoverCases,
    WakeupCases,
    ensuring_waking,
    takeover_races,
)
from duly.testing.stores.ensuring_waking import EnsureWakingCases


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


class WakesForNoSeries(MemoryStore):
    async def ensure(
        self, wanted: Sequence[Message], *, declared: Declared | None = None
    ) -> Sequence[Ensured | Exception]:
        with self._lock:
            return self._series.ensure(wanted, declared, self._clock())


class WakesForNothingThatFollows(MemoryStore):
    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        with self._lock:
            now = self._clock()
            return [self._ledger.settle(each, now, place_after(now)) for each in settles]


class WakesForEveryNote(MemoryStore):
    async def write_note(self, *given: Any) -> str | None:
        self._wakeups.changed()
        return await super().write_note(*given)


class WakesForEveryLook(MemoryStore):
    async def notes(self, prefix: str) -> Mapping[str, Note]:
        self._wakeups.changed()
        return await super().notes(prefix)


class WakesForNoTakeover(MemoryStore):
    async def lapse(self, owner: str) -> int:
        with self._lock:
            return self._ledger.lapse(owner, self._clock())


class Planted(EnsureWakingCases, NoteCases, TakeoverCases, WakeupCases):
    def __init__(self, kind: type[MemoryStore]) -> None:
        self.kind = kind
        self.stores: dict[str, MemoryStore] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        return self.stores.setdefault(namespace, self.kind(clock=clock))


CAUGHT_BY: dict[type[MemoryStore], str] = {
    ReturnsAtOnce: "test_nobody_is_woken_while_nothing_changes",
    ReturnsAfterATurn: "test_nobody_is_woken_while_nothing_changes",
    WakesForEveryClaim: "test_claims_that_bring_nothing_wake_nobody",
    WakesForEveryNote: "test_notes_wake_nobody",
    WakesForEveryLook: "test_notes_wake_nobody",
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


@pytest.mark.parametrize(
    ("bug", "how"),
    [
        (WakesForNoSeries, "stored"),
        (WakesForNoSeries, "changed"),
        (WakesForNothingThatFollows, "followed"),
    ],
)
async def test_a_bug_in_waking_for_series_is_caught(
    monkeypatch: pytest.MonkeyPatch, bug: type[MemoryStore], how: str
) -> None:
    monkeypatch.setattr(ensuring_waking, "PATIENCE", 0.2)
    for kind in (bug, MemoryStore):
        suite = Planted(kind)
        async with suite.bench() as desk:
            if kind is bug:
                with pytest.raises(TimeoutError):
                    await suite.test_a_fire_that_comes_sooner_wakes(desk, how)
            else:
                await suite.test_a_fire_that_comes_sooner_wakes(desk, how)


async def test_a_bug_in_waking_for_a_takeover_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(takeover_races, "PATIENCE", 0.2)
    for kind in (WakesForNoTakeover, MemoryStore):
        suite = Planted(kind)
        async with suite.bench() as desk:
            if kind is WakesForNoTakeover:
                with pytest.raises(TimeoutError):
                    await suite.test_who_waits_is_woken(desk)
            else:
                await suite.test_who_waits_is_woken(desk)
