"""Cases for stores with a schema, and for those that know how they are doing."""

import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Sequence
from secrets import choice
from string import ascii_lowercase

from duly.errors import StoreError
from duly.store import Group, Store, SupportsHealth, SupportsMigration
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness


class MigrationCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsMigration`."""

    @abstractmethod
    async def make_without_schema(self, namespace: str) -> Store:
        """A store over a fresh ``namespace`` that does not migrate by itself.

        Open it first if :meth:`~duly.store.SupportsMigration.migrate` needs that; the cases close
        it.
        """

    async def test_it_tells_what_it_would_do(self, bare: Bench) -> None:
        async with self._without_schema() as (store, _):
            first = await _migrate(store, dry_run=True)
            assert first, "there is no schema, but nothing to do"
            assert await _migrate(store, dry_run=True) == first, "dry_run has changed something"
            assert await _migrate(store) == first, "it did other than dry_run told"

    async def test_migrating_twice_does_nothing_more(self, bare: Bench) -> None:
        async with self._without_schema() as (store, _):
            assert await _migrate(store)
            assert await _migrate(store) == await _migrate(store, dry_run=True) == []

    async def test_what_was_migrated_can_be_used(self, bare: Bench) -> None:
        async with self._without_schema() as (store, namespace):
            await _migrate(store)
            used = await self.make_store(namespace, bare.clock)
            await used.open()
            message = bare.message("a")
            assert list(await used.put([Group([message])])) == [None]
            assert await used.get("a") == message
            assert await _migrate(store) == [], "open did more than migrate"
            await used.close()

    @contextlib.asynccontextmanager
    async def _without_schema(self) -> AsyncIterator[tuple[Store, str]]:
        namespace = "".join(choice(ascii_lowercase) for _ in range(12))
        store = await self.make_without_schema(namespace)
        try:
            yield store, namespace
        finally:
            await store.close()
            await self.drop(namespace)


class HealthCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsHealth`."""

    async def test_it_tells_its_doubts_in_sentences(self, bare: Bench) -> None:
        await _check(bare.store)

    async def test_it_is_asked_while_it_is_away(self, bare: Bench) -> None:
        """It raises what the contract allows, or tells what it knows anyway."""
        self.needs("outage", "no_outages")
        await _check(bare.store)
        async with self.outage(bare.namespace):
            with contextlib.suppress(StoreError):
                await _check(bare.store)

    async def test_it_is_asked_when_it_is_closed(self, bare: Bench) -> None:
        await bare.store.close()
        with contextlib.suppress(StoreError):
            await _check(bare.store)


async def _migrate(store: Store, *, dry_run: bool = False) -> Sequence[str]:
    assert isinstance(store, SupportsMigration)
    statements = await store.migrate(dry_run=dry_run)
    assert not isinstance(statements, str), "return a sequence of statements, not one text"
    assert all(isinstance(each, str) and each.strip() for each in statements)
    return list(statements)


async def _check(store: Store) -> None:
    assert isinstance(store, SupportsHealth)
    reasons = await store.check()
    assert not isinstance(reasons, str), "return a sequence of sentences, not one text"
    assert all(isinstance(each, str) and each.strip() for each in reasons)
