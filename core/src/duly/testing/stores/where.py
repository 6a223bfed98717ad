"""In whose hands a message is."""

from datetime import timedelta

from duly.message import State
from duly.store import Bury, SupportsWhere, Whereabouts
from duly.testing.stores.bench import LEASE, Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR, MINUTE, make_suspect, retry


class WhereAloneCases(StoreHarness):
    """Where a message is, in each state."""

    async def test_where_one_waits(self, desk: Bench) -> None:
        await desk.put("a", after=HOUR)
        found = await self._where(desk, "a")
        assert (found.state, found.lapses) == (State.SCHEDULED, 0)
        assert (found.owner, found.lease_ends_at) == (None, None)
        assert found.due_at is not None
        assert abs(found.due_at - desk.start - HOUR) <= self.resolution

    async def test_where_a_retry_waits(self, desk: Bench) -> None:
        (message,) = await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": retry(message, MINUTE)})
        found = await self._where(desk, "a")
        assert found.due_at is not None
        assert abs(found.due_at - desk.start - MINUTE) <= self.resolution

    async def test_where_one_is_claimed(self, desk: Bench) -> None:
        await desk.put("a", "b")
        await desk.claim(lease=MINUTE)
        for id in ("a", "b"):
            found = await self._where(desk, id)
            assert (found.state, found.owner) == (State.CLAIMED, "host:1:case")
            assert found.due_at is None
            assert found.lease_ends_at is not None
            assert abs(found.lease_ends_at - desk.start - MINUTE) <= self.resolution

    async def test_where_tells_of_a_renewal(self, desk: Bench) -> None:
        await desk.put("a")
        batch = await desk.claim(lease=MINUTE)
        await desk.renew(batch, HOUR)
        found = await self._where(desk, "a")
        assert found.lease_ends_at is not None
        assert abs(found.lease_ends_at - desk.start - HOUR) <= self.resolution

    async def test_where_one_is_whose_lease_has_lapsed(self, desk: Bench) -> None:
        await desk.put("a")
        await desk.claim(lease=MINUTE)
        await desk.pass_time(HOUR)
        found = await self._where(desk, "a")
        assert (found.state, found.lapses) == (State.CLAIMED, 0)
        assert found.lease_ends_at is not None
        assert abs(found.lease_ends_at - desk.start - MINUTE) <= self.resolution

    async def test_where_a_suspect_is(self, desk: Bench) -> None:
        await desk.put("a")
        await make_suspect(desk, "a", lease=LEASE)
        await desk.claim()
        found = await self._where(desk, "a")
        assert (found.state, found.lapses) == (State.CLAIMED, 2)

    async def test_where_a_dead_letter_is(self, desk: Bench) -> None:
        await desk.put("a")
        assert await desk.settle(await desk.claim(), {"a": Bury("x")})
        found = await self._where(desk, "a")
        assert found.state is State.DEAD
        assert (found.due_at, found.owner, found.lease_ends_at) == (None, None, None)

    async def test_where_nothing_is(self, desk: Bench) -> None:
        store = desk.store
        assert isinstance(store, SupportsWhere)
        await desk.put("a")
        for id in ("b", "A", "", "a\0", "\ud800"):
            assert await store.where(id) is None

    async def test_where_one_is_after_a_part_was_settled(self, desk: Bench) -> None:
        await desk.put("a", "b")
        batch = await desk.claim()
        assert await desk.settle(batch, {"a": retry(batch.claims[0].message, HOUR)}, only=["a"])
        assert (await self._where(desk, "a")).state is State.SCHEDULED
        assert (await self._where(desk, "b")).owner == "host:1:case"

    async def test_to_ask_changes_nothing(self, desk: Bench) -> None:
        await desk.put("a")
        await desk.claim(lease=MINUTE)
        before = await self._where(desk, "a")
        await desk.pass_time(timedelta(seconds=1))
        assert await self._where(desk, "a") == before

    async def _where(self, desk: Bench, id: str) -> Whereabouts:
        assert isinstance(desk.store, SupportsWhere)
        found = await desk.store.where(id)
        assert found is not None
        return found
