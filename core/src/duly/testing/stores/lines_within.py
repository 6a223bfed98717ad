"""A caller's own transaction, and what stands aside."""

from contextlib import suppress

import pytest

from duly.message import State
from duly.store import Group, SupportsTransactions
from duly.testing.stores.bench import Bench, ids
from duly.testing.stores.lines import NOTHING, apart, drained, put_of, stand_aside
from duly.testing.stores.situations import HOUR
from duly.testing.stores.within import RollBack, WithinHarness


class LineTransactionCases(WithinHarness):
    """For stores that are SupportsLines and SupportsTransactions."""

    @pytest.mark.parametrize("end", ["commits", "rolls back"])
    @pytest.mark.parametrize("verb", ["cancel", "replace", "move"])
    async def test_aside_it_is_touched_within(self, desk: Bench, verb: str, end: str) -> None:
        await put_of(desk, "slow", "a", "b", "c", after=-HOUR)
        await stand_aside(desk)
        store = desk.store
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                if verb == "cancel":
                    assert list(await store.cancel(["b"], within=within)) == [State.SCHEDULED]
                elif verb == "replace":
                    new = desk.message("b", HOUR, event_name="slow")
                    assert list(await store.put([Group([new], True)], within=within)) == [None]
                else:
                    at = desk.start + HOUR
                    found = await store.reschedule("b", at, of_state=State.SCHEDULED, within=within)
                    assert found is State.SCHEDULED
                if end == "rolls back":
                    raise RollBack
        if end == "rolls back":
            assert await apart(desk) == ["a", "b", "c"]
            assert await drained(desk) == ["a", "b", "c"]
            return
        assert await apart(desk) == ["a", "c"]
        assert ids(await desk.claim()) == ["a", "c"]
        later = await desk.listed(state=State.SCHEDULED)
        assert later == ([] if verb == "cancel" else ["b"])

    async def test_aside_it_is_seen_within(self, desk: Bench) -> None:
        assert isinstance(desk.store, SupportsTransactions)
        (message,) = await put_of(desk, "slow", "a", after=-HOUR)
        await stand_aside(desk)
        async with self.transaction(desk.namespace) as within:
            assert await desk.store.get("a", within=within) == message
        assert await apart(desk) == ["a"]

    async def test_stored_within_beside_a_siding_it_goes_there(self, desk: Bench) -> None:
        await put_of(desk, "slow", "a", after=-HOUR)
        await stand_aside(desk)
        async with self.transaction(desk.namespace) as within:
            new = desk.message("b", event_name="slow")
            assert list(await desk.store.put([Group([new])], within=within)) == [None]
        assert await apart(desk) == ["a"]
        assert (await desk.claim(most=NOTHING)).moved == 1
        assert await drained(desk) == ["a", "b"]
