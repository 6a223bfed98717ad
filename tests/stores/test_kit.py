"""The kit itself: how it is loaded, what it holds, how it speaks."""

import importlib.metadata
import inspect
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Collection
from datetime import timedelta
from pathlib import Path

import pytest

from duly.memory import MemoryStore
from duly.store import Clock, Store
from duly.testing.clock import HandClock
from duly.testing.stores import (
    ClaimingAheadCases,
    PeekingCases,
    RecordCases,
    StoreHarness,
    StoreSuite,
    TransactionCases,
    WakeupCases,
)

pytest_plugins = ["duly.testing"]

USER = """
from duly.memory import MemoryStore
from duly.testing.stores import CallerCases, ClaimingCases

pytest_plugins = ["duly.testing"]


class Forgetful(MemoryStore):
    async def get(self, id):
        return None


class TestForgetful(CallerCases, ClaimingCases):
    async def make_store(self, namespace, clock):
        self.store = getattr(self, "store", None) or Forgetful(clock=clock)
        return self.store


def test_hand_clock(hand_clock):
    assert hand_clock() == hand_clock()
"""


def cases(suite: type) -> list[str]:
    return [name for each in suite.__mro__ for name in vars(each) if name.startswith("test_")]


def test_no_case_hides_another() -> None:
    class Everything(
        TransactionCases, PeekingCases, ClaimingAheadCases, WakeupCases, RecordCases, StoreSuite
    ): ...

    assert [name for name, number in Counter(cases(Everything)).items() if number > 1] == []


def test_there_are_many_cases() -> None:
    assert len(cases(StoreSuite)) >= 100
    assert inspect.isabstract(StoreSuite)  # so that pytest does not collect it where imported


def test_nothing_loads_by_itself() -> None:
    loaded = importlib.metadata.entry_points(group="pytest11")
    assert [each for each in loaded if each.value.startswith("duly")] == []


def test_a_clock_turned_by_hand(hand_clock: HandClock) -> None:
    before = hand_clock()
    assert hand_clock.advance(hours=1) == before + timedelta(hours=1) == hand_clock()


def test_sizes_scale() -> None:
    class Small(StoreHarness):
        scale = 0.01
        make_store = StoreHarness.make_store

    Small.__abstractmethods__ = frozenset()
    assert (Small().many(100), Small().many(10_000)) == (5, 100)


async def test_what_is_left_behind_is_found() -> None:
    class Untidy(StoreHarness):
        async def make_store(self, namespace: str, clock: Clock | None) -> Store:
            return MemoryStore(clock=clock)

        async def leftovers(self, namespace: str) -> Collection[str]:
            return ["the index of a name that nothing has"]

    async with Untidy().bench() as bench:
        await bench.put("a", after=timedelta(hours=1))
        with pytest.raises(AssertionError):
            await bench.check_leftovers()
        assert await bench.counts() == (0, 0, 0)  # it looks when nothing is left


def test_in_the_hands_of_a_user(tmp_path: Path) -> None:
    """In pytest-asyncio's strict mode, with warnings as errors; a failed case tells both sides."""
    tmp_path.joinpath("test_forgetful.py").write_text(USER)
    run = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
            "-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function",
            "-k", "as_it_was or hand_clock or nothing_to_claim", "test_forgetful.py",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert re.match("1 failed, 3 passed, [0-9]+ deselected in", run.stdout.splitlines()[-1]), (
        run.stdout + run.stderr
    )
    assert "assert None == Message(" in run.stdout
