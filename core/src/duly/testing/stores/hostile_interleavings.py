"""The caller's verbs against the scheduler's, at every point of a message's life."""

from collections.abc import AsyncIterator, Sequence

import pytest

from duly.message import State
from duly.store import Batch, Settle
from duly.testing.stores.bench import LEASE, Bench, Outcomes, ids
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import MINUTE, retry

STEPS = {
    "put": State.SCHEDULED,
    "claimed": State.CLAIMED,
    "renewed": State.CLAIMED,
    "neighbour settled early": State.CLAIMED,
    "put back": State.SCHEDULED,
    "claimed again": State.CLAIMED,
    "delivered": None,
}
"""The steps of a message's life, and the state it is in after each."""

BEHIND = pytest.mark.parametrize("behind", STEPS)


class InterleavingCases(StoreHarness):
    """A verb of the caller after every step of a message's life."""

    async def _life(self, desk: Bench, seen: list[bytes]) -> AsyncIterator[str]:
        """Lead "a" through its life beside "b", noting the payload at each of its claims."""

        async def claim(settle: Sequence[Settle] = ()) -> Batch:
            batch = await desk.claim(settle=settle)
            seen.extend(each.message.payload for each in batch.claims if each.message.id == "a")
            return batch

        (message, _) = await desk.put(desk.message("a", payload=b"old"), "b")
        yield "put"
        batch = await claim()
        yield "claimed"
        assert await desk.renew(batch) is not None
        yield "renewed"
        assert await desk.settle(batch, only=["b"])
        yield "neighbour settled early"
        back: Outcomes = {"a": retry(message, -MINUTE)} if "a" in ids(batch) else {}
        assert await desk.settle(batch, back)
        yield "put back"
        batch = await claim()
        yield "claimed again"
        if batch.claims:
            assert await desk.settle(batch)
        yield "delivered"
        while (batch := await claim()).claims:
            assert await desk.settle(batch)
        await desk.pass_time(LEASE)
        assert ids(await claim()) == []
        assert await desk.counts() == (0, 0, 0)

    @BEHIND
    async def test_cancel_at_any_point(self, desk: Bench, behind: str) -> None:
        seen: list[bytes] = []
        async for step in self._life(desk, seen):
            if step == behind:
                assert list(await desk.store.cancel(["a"])) == [STEPS[behind]]
                before = list(seen)
        assert seen == before

    @BEHIND
    async def test_cancel_and_put_at_any_point(self, desk: Bench, behind: str) -> None:
        seen: list[bytes] = []
        async for step in self._life(desk, seen):
            if step == behind:
                await desk.store.cancel(["a"])
                before = list(seen)
                await desk.put(desk.message("a", payload=b"new"))
        assert seen[len(before) :] == [b"new"] * (2 if behind == "put" else 1)

    @BEHIND
    async def test_replace_at_any_point(self, desk: Bench, behind: str) -> None:
        seen: list[bytes] = []
        async for step in self._life(desk, seen):
            if step == behind:
                before = list(seen)
                await desk.put(desk.message("a", payload=b"new"), replace=True)
        assert seen[len(before) :] == [b"new"] * (2 if behind == "put" else 1)

    @BEHIND
    async def test_reschedule_at_any_point(self, desk: Bench, behind: str) -> None:
        seen: list[bytes] = []
        async for step in self._life(desk, seen):
            if step == behind:
                at = desk.start - MINUTE
                found = await desk.store.reschedule("a", at, of_state=State.SCHEDULED)
                assert found is STEPS[behind]
                message = await desk.store.get("a")
                if found is State.SCHEDULED:
                    assert message is not None
                    assert (message.scheduled_at, message.retry_count) == (at, 0)
        assert seen == [b"old", b"old"]
