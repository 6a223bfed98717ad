"""Runs cases of the kit on stores with a planted bug, outside of pytest's own collection."""

import contextlib
import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from tests.servers.postgres import postgres_url

from duly.store import Clock, Store
from duly.testing.stores import (
    DueBetweenCases,
    EnsureCases,
    ForecastCases,
    LineCases,
    ListingWithoutPayloadsCases,
    NameStatsCases,
    NoteCases,
    OverdueCases,
    StoreHarness,
    StoreSuite,
    TakeoverCases,
    WhereCases,
)
from duly.testing.stores.model import Model
from duly.testing.stores.plain import PlainStore

__all__ = ["assert_caught", "postgres_url"]  # fixtures are found by their names

Planted = type[Model] | type[PlainStore]
Check = Callable[[Planted, str], Awaitable[None]]

_content: set[tuple[type[StoreHarness], str]] = set()  # cases, with what they find no fault in


class PlantedSuite(
    ForecastCases, DueBetweenCases, NameStatsCases, OverdueCases, ListingWithoutPayloadsCases, WhereCases,
    EnsureCases, LineCases, NoteCases, TakeoverCases, StoreSuite,
):  # fmt: skip
    """The cases, over whatever store is planted."""

    scale = 0.2
    patience = 0.2
    series_steps = 800  # quick: it is in the process itself
    no_outages = no_connections = "it is in the process itself"
    no_secrets = "it is made without a password"

    def __init__(self, planted: Planted) -> None:
        self.planted = planted
        self.stores: dict[str, PlainStore] = {}

    async def make_store(self, namespace: str, clock: Clock | None) -> Store:
        if namespace not in self.stores:
            planted = self.planted
            self.stores[namespace] = (
                PlainStore(clock=clock, model=planted)
                if issubclass(planted, Model)
                else planted(clock=clock)
            )
        return self.stores[namespace]


def variants(case: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The arguments that a case is parametrized with, a dictionary for each variant."""
    choices = []
    for mark in getattr(case, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            if isinstance(names, str):
                names, values = [names], [[value] for value in values]
            choices.append([dict(zip(names, value, strict=True)) for value in values])
    for choice in itertools.product(*choices):
        yield {name: value for part in choice for name, value in part.items()}


async def failures(suite: StoreHarness, name: str) -> AsyncGenerator[str, None]:
    """What a case says about the store, variant by variant; nothing if it finds no fault."""
    case = getattr(suite, name)
    names = case.__code__.co_varnames[: case.__code__.co_argcount]
    for arguments in variants(case):
        for by_hand in [True, False] if "timed" in names else [True]:
            try:
                async with suite.bench(by_hand=by_hand) as bench:
                    await case(bench, **arguments)
                    await bench.check_books()
            except (Exception, pytest.fail.Exception) as error:
                yield f"{type(error).__name__}: {error}"


async def assert_it_tells(bug: StoreHarness, right: StoreHarness, case: str) -> None:
    """Check that a case finds a bug, in the first variant that does, and none where there is none.

    Many bugs are found by the same case: whether it is content with what is right is asked once.
    """
    async with contextlib.aclosing(failures(bug, case)) as found:
        assert await anext(found, None) is not None, f"{case} finds no fault"
    if (type(right), case) not in _content:
        assert [each async for each in failures(right, case)] == []
        _content.add((type(right), case))


@pytest.fixture
def assert_caught() -> Check:
    """Checks that a case finds a bug, and finds nothing where there is none."""

    async def check(bug: Planted, case: str) -> None:
        await assert_it_tells(PlantedSuite(bug), PlantedSuite(PlainStore), case)

    return check


@pytest.fixture
def assert_caught_in() -> Callable[[StoreHarness, StoreHarness, str], Awaitable[None]]:
    """The same of a harness over a bug and one over what is right."""
    return assert_it_tells
