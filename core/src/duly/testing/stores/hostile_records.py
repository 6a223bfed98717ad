"""Records that cannot be read."""

from abc import abstractmethod

import pytest

from duly.errors import DuplicateMessage
from duly.message import UNREADABLE, Filter, State
from duly.store import (
    Bury,
    Group,
    Release,
    SupportsListingWithoutPayloads,
)
from duly.testing.stores.bench import LEASE, Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.listing_without_payloads import both_lists, emptied
from duly.testing.stores.situations import HOUR, retry


class RecordHarness(StoreHarness):
    """What a store's author writes for the cases about records."""

    @abstractmethod
    async def damage(self, namespace: str, id: str) -> None:
        """Make the record of a stored message unreadable, without asking the store.

        ``duly.record.from_record`` must refuse it; id, due time and lease stay as they are.
        """

    @abstractmethod
    async def age(self, namespace: str, id: str) -> None:
        """Give a stored message's record a format newer than ``duly.record.FORMAT``."""


class UnreadableCases(RecordHarness):
    """Damaged records are set aside, and the rest flows."""

    async def test_unreadable_set_aside_when_due(self, desk: Bench) -> None:
        await desk.put(*"abc")
        await self.damage(desk.namespace, "b")
        batch = await desk.claim()
        assert ids(batch) == ["a", "c"]
        (found,) = batch.unreadable
        assert (found.id, found.event_name, found.state) == ("b", UNREADABLE, State.DEAD)
        assert found.last_error
        assert await desk.store.get("b") == found
        assert await desk.counts() == (0, 2, 1)
        assert await desk.listed(state=State.DEAD) == ["b"]
        batch = await desk.claim()
        assert (ids(batch), batch.more, list(batch.unreadable)) == ([], False, [])

    async def test_unreadable_all_of_a_batch(self, desk: Bench) -> None:
        await desk.put("a", "b")
        for id in ("a", "b"):
            await self.damage(desk.namespace, id)
        batch = await desk.claim()
        assert (batch.token, list(batch.claims)) == (None, [])
        assert sorted(each.id for each in batch.unreadable) == ["a", "b"]
        batch = await desk.claim()
        assert (batch.more, batch.next_due) == (False, None)
        assert await desk.counts() == (0, 0, 2)

    async def test_unreadable_a_full_batch_of_them_hides_nothing(self, desk: Bench) -> None:
        names = [f"m{number}" for number in range(6)]
        await desk.put(*names)
        for id in names[:4]:
            await self.damage(desk.namespace, id)
        claimed: list[str] = []
        while True:
            batch = await desk.claim(2)
            claimed += ids(batch)
            if not batch.more:
                break
        assert claimed == names[4:]
        assert await desk.counts() == (0, 2, 4)

    async def test_unreadable_before_it_is_due(self, desk: Bench) -> None:
        await desk.put("a", "b", after=HOUR)
        await self.damage(desk.namespace, "a")
        found = {each.id: each for each in await desk.store.list(Filter())}
        assert sorted(found) == ["a", "b"]
        assert found["a"].event_name == UNREADABLE
        assert await desk.store.get("a") == found["a"]
        assert ids(await desk.claim()) == []
        assert await desk.counts() == (2, 0, 0)

    async def test_unreadable_with_its_raw_bytes(self, desk: Bench) -> None:
        await desk.put(desk.message("a", payload=b"what was in it"))
        await self.damage(desk.namespace, "a")
        before = await desk.store.get("a")
        (found,) = (await desk.claim()).unreadable
        assert before is not None
        assert before.payload
        assert found.payload == before.payload

    async def test_unreadable_listed_by_pages(self, desk: Bench) -> None:
        names = [f"m{number}" for number in range(9)]
        await desk.put(*names, after=HOUR)
        for id in names[::2]:
            await self.damage(desk.namespace, id)
        assert sorted(await desk.listed()) == names
        assert len(await desk.listed(limit=4)) == 4
        pages = [await desk.listed(limit=2, offset=offset) for offset in range(0, 10, 2)]
        assert sorted(id for page in pages for id in page) == names

    async def test_unreadable_listed_without_payloads(self, desk: Bench) -> None:
        await desk.put(*"abc")
        await self.damage(desk.namespace, "b")
        await self.age(desk.namespace, "c")
        if isinstance(desk.store, SupportsListingWithoutPayloads):  # the client cuts off, otherwise
            whole, lean = await both_lists(desk)
            assert emptied(lean) == emptied(whole)

    @pytest.mark.parametrize("aside", [False, True], ids=["waiting", "set aside"])
    async def test_unreadable_cancelled(self, desk: Bench, *, aside: bool) -> None:
        await desk.put("a")
        await self.damage(desk.namespace, "a")
        if aside:
            assert len((await desk.claim()).unreadable) == 1
            assert list(await desk.store.cancel(["a"], of_state=State.DEAD)) == [State.DEAD]
        else:
            assert list(await desk.store.cancel(["a"])) != [None]
        assert await desk.store.get("a") is None
        assert await desk.counts() == (0, 0, 0)
        assert list((await desk.claim()).unreadable) == []

    async def test_unreadable_replaced(self, desk: Bench) -> None:
        await desk.put("a")
        await self.damage(desk.namespace, "a")
        assert await desk.outcomes(Group([desk.message("a")])) == [DuplicateMessage]
        new = desk.message("a")
        await desk.put(new, replace=True)
        assert await desk.store.get("a") == new
        assert ids(await desk.claim()) == ["a"]

    async def test_unreadable_damaged_in_flight_and_delivered(self, desk: Bench) -> None:
        await desk.put("a", "b")
        batch = await desk.claim()
        await self.damage(desk.namespace, "a")
        assert await desk.settle(batch)
        assert await desk.counts() == (0, 0, 0)

    async def test_unreadable_damaged_in_flight_and_lapsed(self, desk: Bench) -> None:
        await desk.put("a", "b")
        await desk.claim()
        await self.damage(desk.namespace, "a")
        await desk.pass_time(LEASE)
        batch = await desk.claim()
        assert ids(batch) == ["b"]
        assert [each.id for each in batch.unreadable] == ["a"]

    @pytest.mark.parametrize("how", ["put back", "released", "buried"])
    async def test_unreadable_damaged_in_flight_and_settled(self, desk: Bench, how: str) -> None:
        (message, _) = await desk.put("a", "b")
        batch = await desk.claim()
        await self.damage(desk.namespace, "a")
        outcomes: Outcomes = {
            "put back": retry(message),
            "released": Release(desk.start + HOUR),
            "buried": Bury("broken"),
        }
        assert await desk.settle(batch, {"a": outcomes[how]})
        assert await desk.listed() == ["a"], "lost"
        await desk.pass_time(HOUR)
        assert ids(await desk.claim()) in ([], ["a"])  # by then the store may have mended it
        assert await desk.state("a") is not None
