"""A caller's transaction that stays open holds up what it has touched and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from types import NoneType
from typing import Final, TypeVar

import pytest

from duly.message import Filter, Message, State
from duly.recurrence import Every
from duly.store import Group, HeldUp, Store
from duly.testing.stores.bench import LEASE, Bench, ids, settle_of
from duly.testing.stores.situations import DAY, SETTLEMENTS, retry
from duly.testing.stores.within import RollBack, WithinHarness

T = TypeVar("T")

_TOUCHES: Final = ("cancels", "replaces", "tries to move")
_ENDS: Final = ("commits", "rolls back")


class WithinHeldCases(WithinHarness):
    """Others are claimed, settled and recovered meanwhile; the held message is settled later."""

    @pytest.mark.parametrize("end", _ENDS)
    @pytest.mark.parametrize("touch", _TOUCHES)
    async def test_others_go_on_while_one_is_held(self, desk: Bench, touch: str, end: str) -> None:
        _, a, _ = await desk.put("held", "a", "b")
        batch = await desk.claim()
        async with self._holding(desk, touch, end) as other:
            assert await self._at_once(desk.settle(batch, {"a": retry(a)}, by=other))
            assert not await self._at_once(desk.settle(batch, by=other))
            assert await desk.counts() == (1, 1, 0)
            assert await desk.state("held") is State.CLAIMED
            await desk.put("c", "d")
            first = await self._at_once(desk.claim(limit=1, by=other))
            second = await self._at_once(desk.claim(settle=[settle_of(first)], by=other))
            assert [*ids(first), *ids(second)] == ["c", "d"]
            assert await self._at_once(desk.settle(second, by=other))
        await self._is_delivered(desk, touch, end)
        assert await desk.listed(state=State.SCHEDULED) == ["a"]

    @pytest.mark.parametrize("end", _ENDS)
    @pytest.mark.parametrize("retried", [True, False], ids=["one is retried", "all delivered"])
    async def test_held_when_its_batch_is_settled_with_a_claim(
        self, desk: Bench, end: str, *, retried: bool
    ) -> None:
        _, a = await desk.put("held", "a")
        batch = await desk.claim()
        await desk.put("b")
        settle = settle_of(batch, {"a": retry(a)} if retried else {})
        async with self._holding(desk, "cancels", end) as other:
            second = await self._at_once(desk.claim(settle=[settle], by=other))
            assert list(second.settled) == [True]
            assert ids(second) == ["b"]
            assert await self._at_once(desk.settle(second, by=other))
        await self._is_delivered(desk, "cancels", end)
        assert await desk.listed() == (["a"] if retried else [])

    @pytest.mark.parametrize("end", _ENDS)
    @pytest.mark.parametrize("touch", _TOUCHES)
    async def test_others_are_recovered_while_one_is_held(
        self, desk: Bench, touch: str, end: str
    ) -> None:
        await desk.put("held", "a")
        await desk.claim()
        async with self._holding(desk, touch, end) as other:
            await desk.pass_time(LEASE)
            batch = await self._at_once(desk.claim(by=other))
            assert [(each.message.id, each.lapses) for each in batch.claims] == [("a", 1)]
            assert await self._at_once(desk.settle(batch, by=other))
            assert await desk.state("held") is State.CLAIMED
        found = [(each.message.payload, each.lapses) for each in await desk.claim_all()]
        if end == "rolls back" or touch == "tries to move":
            assert found == [(b"", 1)]
        else:
            assert found == ([(b"new", 0)] if touch == "replaces" else [])

    @pytest.mark.parametrize("how", SETTLEMENTS)
    async def test_held_ones_become_what_they_would_have(self, desk: Bench, how: str) -> None:
        """When the transaction is rolled back they are like a twin that nobody held."""
        every = Every(DAY) if "next" in how else None
        await desk.put(
            *(desk.message(id, created_at=desk.start, recurrence=every) for id in ("held", "twin"))
        )
        batch = await desk.claim()
        settled = {each.message.id: SETTLEMENTS[how](each.message) for each in batch.claims}
        outcomes = {id: each for id, each in settled.items() if each is not None}
        async with self._holding(desk, "cancels", "rolls back") as other:
            assert await self._at_once(desk.settle(batch, outcomes, by=other))
            assert await desk.state("held") is State.CLAIMED
        assert {claim.lapses for claim in await desk.claim_all()} <= {0}
        found = await desk.store.list(Filter())
        assert _like(found, "held") == _like(found, "twin")
        assert bool(found) == (how != "delivered")

    async def test_held_when_it_is_settled_early(self, desk: Bench) -> None:
        """It has left its lease anyway: a lapse of that does not bring it back."""
        await desk.put("held", "a")
        batch = await desk.claim()
        async with self._holding(desk, "cancels", "rolls back") as other:
            assert await self._at_once(desk.settle(batch, only=["held"], by=other))
            assert await desk.renew(batch) == []
        await desk.pass_time(LEASE)
        assert [each.message.id for each in await desk.claim_all()] == ["a"]
        assert await desk.listed() == ["a"]

    async def test_others_are_stored_while_an_id_is_held(self, desk: Bench) -> None:
        await desk.put("held")
        await desk.claim()
        async with self._holding(desk, "replaces", "rolls back") as other:
            groups = [
                Group([desk.message("a")]),
                Group([desk.message("held")], replace=True),
                Group([desk.message("b")]),
            ]
            outcomes = await self._at_once(other.put(groups))
            assert [type(each) for each in outcomes] == [NoneType, HeldUp, NoneType]
            assert await desk.listed() == ["a", "b", "held"]
        assert await desk.outcomes(groups[1]) == [None]
        assert [each.message.id for each in await desk.claim_all()] == ["a", "b", "held"]

    @asynccontextmanager
    async def _holding(self, desk: Bench, touch: str, end: str) -> AsyncIterator[Store]:
        """A transaction has touched the claimed message ``held``; a store for the others."""
        if self.waits_for_transactions:
            pytest.skip(self.waits_for_transactions)
        other = await desk.another()
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                if touch == "cancels":
                    found, *_ = await desk.store.cancel(["held"], within=within)
                    assert found is State.CLAIMED
                elif touch == "replaces":
                    new = Group([desk.message("held", payload=b"new")], replace=True)
                    assert list(await desk.store.put([new], within=within)) == [None]
                else:
                    move, at = desk.store.reschedule, desk.start + DAY
                    refused = await move("held", at, of_state=State.SCHEDULED, within=within)
                    assert refused is State.CLAIMED
                yield other
                if end != "commits":
                    raise RollBack

    async def _at_once(self, call: Awaitable[T]) -> T:
        """The result of a call that must not wait for anybody's transaction."""
        async with asyncio.timeout(self.outage_patience):
            return await call

    async def _is_delivered(self, desk: Bench, touch: str, end: str) -> None:
        """Nobody gets it again; if it was replaced, the new message comes in its place."""
        replaced = touch == "replaces" and end == "commits"
        found = [(each.message.id, each.message.payload) for each in await desk.claim_all()]
        assert found == ([("held", b"new")] if replaced else [])
        assert await desk.state("held") is (State.CLAIMED if replaced else None)


def _like(messages: Sequence[Message], name: str) -> object:
    """All that is known of the messages made from one, except its name."""
    return [
        (
            each.id.removeprefix(name),
            each.state,
            each.scheduled_at,
            each.next_attempt_at,
            each.retry_count,
            each.occurrence_count,
            each.last_error,
        )
        for each in messages
        if each.id.startswith(name)
    ]
