"""Records of a newer format, and both kinds together."""

import pytest

from duly.errors import DuplicateMessage
from duly.message import UNREADABLE, Filter, State
from duly.store import NEWER_PAUSE, Declared, Ensured, Group, SupportsEnsure
from duly.testing.stores.bench import LEASE, Bench, ids
from duly.testing.stores.ensuring import wanted
from duly.testing.stores.hostile_records import RecordHarness, UnreadableCases
from duly.testing.stores.situations import HOUR, MINUTE

__all__ = ["RecordCases"]


class NewerCases(RecordHarness):
    """Records of a newer format wait for a newer reader."""

    async def test_newer_put_back_when_due(self, desk: Bench) -> None:
        await desk.put(*"abc")
        await self.age(desk.namespace, "b")
        before = await desk.store.get("b")
        batch = await desk.claim()
        assert (ids(batch), batch.newer, list(batch.unreadable)) == (["a", "c"], 1, [])
        assert await desk.store.get("b") == before
        assert await desk.state("b") is State.SCHEDULED
        assert await desk.counts() == (1, 2, 0)
        batch = await desk.claim()
        assert (ids(batch), batch.newer, batch.more) == ([], 0, False)
        assert batch.next_due == desk.start + NEWER_PAUSE

    async def test_newer_put_back_again_and_again(self, desk: Bench) -> None:
        await desk.put("a")
        await self.age(desk.namespace, "a")
        before = await desk.store.get("a")
        for _ in range(4):
            batch = await desk.claim()
            assert (ids(batch), batch.newer) == ([], 1)
            await desk.pass_time(NEWER_PAUSE)
        assert await desk.store.get("a") == before
        assert await desk.counts() == (1, 0, 0)

    async def test_newer_a_full_batch_of_them_hides_nothing(self, desk: Bench) -> None:
        names = [f"m{number}" for number in range(6)]
        await desk.put(*names)
        for id in names[:4]:
            await self.age(desk.namespace, id)
        claimed: list[str] = []
        newer = 0
        while True:
            batch = await desk.claim(2)
            claimed += ids(batch)
            newer += batch.newer
            if not batch.more:
                break
        assert (claimed, newer) == (names[4:], 4)

    async def test_newer_listed_with_its_state(self, desk: Bench) -> None:
        await desk.put("a", "b", after=HOUR)
        await self.age(desk.namespace, "a")
        found = {each.id: each for each in await desk.store.list(Filter())}
        assert sorted(found) == ["a", "b"]
        assert found["a"].event_name == UNREADABLE
        assert found["a"].state is State.SCHEDULED
        assert found["a"].last_error
        assert await desk.store.get("a") == found["a"]

    async def test_newer_cancelled(self, desk: Bench) -> None:
        await desk.put("a")
        await self.age(desk.namespace, "a")
        assert list(await desk.store.cancel(["a"])) == [State.SCHEDULED]
        assert await desk.counts() == (0, 0, 0)
        assert (await desk.claim()).newer == 0

    async def test_newer_does_not_free_its_id(self, desk: Bench) -> None:
        await desk.put("a")
        await self.age(desk.namespace, "a")
        before = await desk.store.get("a")
        assert await desk.outcomes(Group([desk.message("a")])) == [DuplicateMessage]
        assert await desk.store.get("a") == before

    async def test_newer_lapsed(self, desk: Bench) -> None:
        await desk.put("a", "b")
        await desk.claim()
        await self.age(desk.namespace, "a")
        await desk.pass_time(LEASE)
        batch = await desk.claim()
        assert (ids(batch), batch.newer, list(batch.unreadable)) == (["b"], 1, [])
        assert await desk.counts() == (1, 1, 0)

    @pytest.mark.parametrize("readable", ["newer", "damaged"])
    async def test_newer_declared_again_stays(self, desk: Bench, readable: str) -> None:
        """A rollback declares what it cannot read: that is no reason to remove it."""
        store = desk.store
        if not isinstance(store, SupportsEnsure):
            return
        declared = [wanted(desk, id=id) for id in "ab"]
        await store.ensure(declared, declared=Declared("billing", 1))
        await desk.put("c", after=HOUR)
        change = self.age if readable == "newer" else self.damage
        for id in "abc":
            await change(desk.namespace, id)
        before = await desk.store.get("a")
        outcomes = await store.ensure(
            [wanted(desk, id=id) for id in "ac"], declared=Declared("billing", 2)
        )
        if readable == "newer":
            assert outcomes == [Ensured.NEWER] * 2
        else:
            assert [type(each) for each in outcomes] == [DuplicateMessage] * 2
        assert await store.undeclare("billing", 2) == [("b", State.SCHEDULED)]
        assert await desk.store.get("a") == before
        assert await store.undeclare("billing", 3) == [("a", State.SCHEDULED)]
        assert await desk.listed() == ["c"]

    async def test_newer_beside_unreadable(self, desk: Bench) -> None:
        await desk.put(*"abcd")
        await self.age(desk.namespace, "a")
        await self.damage(desk.namespace, "c")
        batch = await desk.claim()
        assert (ids(batch), batch.newer) == (["b", "d"], 1)
        assert [each.id for each in batch.unreadable] == ["c"]
        assert await desk.settle(batch)
        assert await desk.counts() == (1, 0, 1)
        await desk.pass_time(MINUTE)
        assert (await desk.claim()).newer == 1


class RecordCases(UnreadableCases, NewerCases):
    """For stores that keep records: damaged ones, and those of a newer format."""
