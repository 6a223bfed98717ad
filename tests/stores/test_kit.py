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
from duly.testing.crash_cases import CrashPointCases, CrowdedLifeCases, RandomLifeCases
from duly.testing.stores import (
    AnyLoopCases,
    ClaimingAheadCases,
    HealthCases,
    LineCases,
    LineMarkCases,
    LineTransactionCases,
    ListingWithoutPayloadsCases,
    MigrationCases,
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

IN_THE_MAKING = """
from duly.memory import MemoryStore
from duly.testing.stores import StoreSuite

pytest_plugins = ["duly.testing"]


class InTheMaking(MemoryStore):
    async def list(self, filter, **more):
        raise NotImplementedError


class TestInTheMaking(StoreSuite):
    no_outages = no_connections = "it is in the process itself"
    no_secrets = "it is made without a password"

    async def make_store(self, namespace, clock):
        return InTheMaking(clock=clock)
"""


UNFINISHED = """
from duly.testing.stores import CallerCases

pytest_plugins = ["duly.testing"]


class Base(CallerCases): ...


class TestForgotten(Base):
    async def make_stores(self, namespace, clock): ...
"""


def cases(suite: type) -> list[str]:
    return [name for each in suite.__mro__ for name in vars(each) if name.startswith("test_")]


def test_no_case_hides_another_and_none_needs_a_mode_of_asyncio() -> None:
    class Everything(
        AnyLoopCases,
        HealthCases,
        LineCases,
        LineMarkCases,
        LineTransactionCases,
        MigrationCases,
        TransactionCases,
        PeekingCases,
        ClaimingAheadCases,
        ListingWithoutPayloadsCases,
        WakeupCases,
        RecordCases,
        StoreSuite,
        CrashPointCases,
        CrowdedLifeCases,
        RandomLifeCases,
    ): ...

    for each in Everything.__mro__:
        for name, case in vars(each).items():
            if name.startswith("test_"):
                marks = [mark.name for mark in getattr(case, "pytestmark", [])]
                assert "asyncio" in marks or not inspect.iscoroutinefunction(case), name
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


def run_by_pytest(folder: Path, file: str, *options: str) -> str:
    """What pytest says of a file in its strict asyncio mode, with warnings as errors."""
    folder.joinpath("test_user.py").write_text(file)
    run = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider",
            "-o", "asyncio_mode=strict", "-o", "asyncio_default_fixture_loop_scope=function",
            *options, "test_user.py",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return run.stdout + run.stderr


def test_a_forgotten_method_is_an_error_that_names_it(tmp_path: Path) -> None:
    told = run_by_pytest(tmp_path, UNFINISHED)
    assert (
        "TestForgotten is unfinished, so that none of its cases would run: write make_store()"
        in told
    )
    assert "Base" not in told
    assert told.splitlines()[-1].startswith("1 error in")


def test_the_first_that_fails_is_the_simplest(tmp_path: Path) -> None:
    told = run_by_pytest(tmp_path, IN_THE_MAKING, "-x")
    assert "::test_then_it_can_be_listed" in told
    assert told.splitlines()[-1].startswith("1 failed, 4 passed in")


def test_in_the_hands_of_a_user(tmp_path: Path) -> None:
    """In pytest-asyncio's strict mode, with warnings as errors; a failed case tells both sides."""
    options = ["-k", "as_it_was or hand_clock or nothing_to_claim"]
    told = run_by_pytest(tmp_path, USER, *options)
    assert re.match("1 failed, 3 passed, [0-9]+ deselected in", told.splitlines()[-1]), told
    assert "assert None == Message(" in told
