"""Leases end while a caller's transaction that stays open holds some of what they held."""

import asyncio
from contextlib import suppress
from typing import TypeVar

import pytest

from duly.message import State
from duly.store import Group
from duly.testing.stores.bench import Bench
from duly.testing.stores.takeover import DEAD, back, taken
from duly.testing.stores.within import RollBack, WithinHarness

T = TypeVar("T")


class TakeoverTransactionCases(WithinHarness):
    """For stores that are SupportsTakeover and SupportsTransactions."""

    @pytest.mark.parametrize("end", ["commits", "rolls back"])
    @pytest.mark.parametrize("touch", ["cancels", "replaces"])
    async def test_taken_over_while_one_is_held(self, desk: Bench, touch: str, end: str) -> None:
        """Nobody waits; what is held comes to what a lapse would have made of it."""
        if self.waits_for_transactions:
            pytest.skip(self.waits_for_transactions)
        await desk.put("held", "a")
        old = await desk.claim(owner=DEAD)
        other = await desk.another()
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                if touch == "cancels":
                    found = await desk.store.cancel(["held"], within=within)
                    assert list(found) == [State.CLAIMED]
                else:
                    new = Group([desk.message("held", payload=b"new")], replace=True)
                    assert list(await desk.store.put([new], within=within)) == [None]
                async with asyncio.timeout(self.outage_patience):
                    assert await taken(other) == 2
                    batch = await desk.claim(by=other)
                    assert back(batch) == [("a", 1)]
                    assert await desk.settle(batch, by=other)
                    assert not await desk.settle(old, by=other)
                    assert await taken(other) == 0
                assert await desk.state("held") is State.CLAIMED
                if end == "rolls back":
                    raise RollBack
        found_now = [(each.message.payload, each.lapses) for each in await desk.claim_all()]
        if end == "rolls back":
            assert found_now == [(b"", 1)]
        else:
            assert found_now == ([(b"new", 0)] if touch == "replaces" else [])

    @pytest.mark.parametrize("end", ["commits", "rolls back"])
    async def test_what_a_transaction_did_is_not_counted(self, desk: Bench, end: str) -> None:
        await desk.put("a", "b")
        await desk.claim(owner=DEAD)
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                await desk.store.cancel(["a"], within=within)
                if end == "rolls back":
                    raise RollBack
        left = ["b"] if end == "commits" else ["a", "b"]
        assert await taken(desk.store) == len(left)
        assert back(await desk.claim()) == [(id, 1) for id in left]
