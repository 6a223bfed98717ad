"""The mark without which nothing is moved aside, as older schedulers would not find it."""

from abc import abstractmethod

from duly.store import PAUSED, Store, SupportsHealth, SupportsMigration
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.lines import NOTHING, apart, put_of, stand_aside
from duly.testing.stores.situations import HOUR, MINUTE, make_suspect


class LineMarkCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsLines` and have a schema."""

    @abstractmethod
    async def unmark(self, namespace: str) -> None:
        """Take the mark away, as in a namespace of a version without lines.

        Whatever stands aside in it stays there.
        """

    async def _unmarked(self, desk: Bench) -> Store:
        await self.unmark(desk.namespace)
        return await desk.another()

    async def test_without_the_mark_nothing_is_moved(self, desk: Bench) -> None:
        store = await self._unmarked(desk)
        await put_of(desk, "slow", "s1", "s2", "s3", after=-HOUR)
        batch = await desk.claim(2, by=store, most={"slow": PAUSED})
        assert (ids(batch), batch.moved, batch.aside) == (["s1", "s2"], 0, False)
        assert batch.more
        batch = await desk.claim(by=store, most=NOTHING)
        assert (ids(batch), batch.moved, batch.more) == (["s3"], 0, False)

    async def test_without_the_mark_suspects_come(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", after=-HOUR)
        await make_suspect(desk, "s1")
        store = await self._unmarked(desk)
        assert ids(await desk.claim(by=store, most=NOTHING)) == ["s1"]

    async def test_without_the_mark_sidings_are_drained(self, desk: Bench) -> None:
        await put_of(desk, "slow", "s1", "s2", "s3", after=-HOUR)
        await stand_aside(desk)
        store = await self._unmarked(desk)
        await put_of(desk, "slow", "s4", after=-MINUTE)
        batch = await desk.claim(2, by=store)
        assert (ids(batch), batch.moved, batch.more) == (["s1", "s4"], 0, True)
        batch = await desk.claim(by=store, most={"slow": 1})
        assert (ids(batch), batch.moved, batch.more, batch.aside) == (["s2"], 0, False, True)
        batch = await desk.claim(by=store, most={"other": 0})
        assert (ids(batch), batch.more, batch.aside) == (["s3"], False, False)
        assert (await store.stats()).aside == 0

    async def test_opening_does_not_mark(self, desk: Bench) -> None:
        await self._unmarked(desk)
        store = await desk.another()
        await put_of(desk, "slow", "s1")
        assert (await desk.claim(by=store, most=NOTHING)).moved == 0
        assert isinstance(store, SupportsMigration)
        assert await store.migrate(dry_run=True)

    async def test_health_tells_of_a_missing_mark(self, desk: Bench) -> None:
        store = await self._unmarked(desk)
        assert isinstance(store, SupportsHealth)
        assert [each for each in await store.check() if "migrate" in each]
        assert isinstance(store, SupportsMigration)
        await store.migrate()
        other = await desk.another()
        assert isinstance(other, SupportsHealth)
        assert not [each for each in await other.check() if "migrate" in each]

    async def test_migrate_marks(self, desk: Bench) -> None:
        store = await self._unmarked(desk)
        assert isinstance(store, SupportsMigration)
        told = await store.migrate(dry_run=True)
        assert told
        await put_of(desk, "slow", "s1", after=-HOUR)
        assert ids(await desk.claim(by=await desk.another(), most=NOTHING)) == ["s1"]
        assert list(await store.migrate()) == list(told)
        assert not await store.migrate(dry_run=True)
        assert not await store.migrate()
        await put_of(desk, "slow", "s2")
        batch = await desk.claim(by=await desk.another(), most=NOTHING)
        assert (ids(batch), batch.moved, batch.aside) == ([], 1, True)
        assert await apart(desk) == ["s2"]

    async def test_a_new_namespace_is_marked(self, desk: Bench) -> None:
        assert isinstance(desk.store, SupportsMigration)
        assert not await desk.store.migrate(dry_run=True)
        await put_of(desk, "slow", "s1")
        assert (await desk.claim(most=NOTHING)).moved == 1
