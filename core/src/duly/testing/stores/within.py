"""Cases for a caller's own transaction, given as ``within``."""

from abc import abstractmethod
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, ClassVar

import pytest

from duly.errors import DuplicateMessage, InvalidArgument
from duly.message import State
from duly.store import Group, Release, SupportsTransactions
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR


class RollBack(Exception):
    """Leaves a transaction so that it is rolled back."""


class WithinHarness(StoreHarness):
    """What the author of a store with transactions writes in addition."""

    waits_for_transactions: ClassVar[str | None] = None
    """Why claims and settles wait for the end of a transaction that has changed something."""

    @abstractmethod
    def transaction(self, namespace: str) -> AbstractAsyncContextManager[Any]:
        """A transaction of the caller's own, to be given as ``within``.

        Committed when the block ends well, rolled back when it raises.
        """

    @abstractmethod
    def transaction_elsewhere(self) -> AbstractAsyncContextManager[Any]:
        """A transaction of the same kind in another database, where no store of ours is."""


class WithinCases(WithinHarness):
    """What happens in a transaction happens with it, or not at all."""

    async def test_what_transactions_it_accepts(self, desk: Bench) -> None:
        assert isinstance(desk.store, SupportsTransactions)
        async with self.transaction(desk.namespace) as within:
            assert desk.store.accepts(within)
        for other in (None, object(), "transaction", desk.store):
            assert not desk.store.accepts(other)

    async def test_a_transaction_elsewhere_is_refused(self, desk: Bench) -> None:
        """Nobody would find what is stored there."""
        await desk.put("a", after=HOUR)
        put, cancel, move = desk.store.put, desk.store.cancel, desk.store.reschedule
        async with self.transaction_elsewhere() as within:
            with pytest.raises(InvalidArgument):
                await put([Group([desk.message("b")])], within=within)
            with pytest.raises(InvalidArgument):
                await cancel(["a"], within=within)
            with pytest.raises(InvalidArgument):
                await move("a", desk.start, of_state=State.SCHEDULED, within=within)
        assert await desk.listed() == ["a"]
        assert await desk.claim_all() == []

    async def test_committed_with_the_transaction(self, desk: Bench) -> None:
        await desk.put("gone", "moved", after=HOUR)
        message = desk.message("a")
        async with self.transaction(desk.namespace) as within:
            assert list(await desk.store.put([Group([message])], within=within)) == [None]
            found = await desk.store.cancel(["gone", "unknown"], within=within)
            assert list(found) == [State.SCHEDULED, None]
            move, at = desk.store.reschedule, desk.start + 2 * HOUR
            moved = await move("moved", at, of_state=State.SCHEDULED, within=within)
            assert moved is State.SCHEDULED
        assert await desk.listed() == ["a", "moved"]
        assert await desk.store.get("a") == message
        assert [claim.message.id for claim in await desk.claim_all()] == ["a"]
        assert await desk.counts() == (1, 1, 0)

    async def test_rolled_back_with_the_transaction(self, desk: Bench) -> None:
        messages = await desk.put("stays", "replaced", after=HOUR)
        with suppress(RollBack):
            async with self.transaction(desk.namespace) as within:
                groups = [
                    Group([desk.message("a")]),
                    Group([desk.message("replaced")], replace=True),
                ]
                assert list(await desk.store.put(groups, within=within)) == [None, None]
                await desk.store.cancel(["stays"], within=within)
                await desk.store.reschedule(
                    "replaced", desk.start, of_state=State.SCHEDULED, within=within
                )
                raise RollBack
        assert await desk.listed() == ["replaced", "stays"]
        for message in messages:
            assert await desk.store.get(message.id) == message
        assert await desk.claim_all() == []
        assert await desk.counts() == (2, 0, 0)

    async def test_others_see_it_after_the_commit(self, desk: Bench) -> None:
        other = await desk.another()
        async with self.transaction(desk.namespace) as within:
            await desk.store.put([Group([desk.message("a")])], within=within)
            assert await other.get("a") is None
        assert await other.get("a") is not None

    async def test_a_duplicate_leaves_the_transaction_usable(self, desk: Bench) -> None:
        await desk.put("taken")
        async with self.transaction(desk.namespace) as within:
            groups = [
                Group([desk.message("a")]),
                Group([desk.message("b"), desk.message("taken")]),
            ]
            outcomes = await desk.store.put(groups, within=within)
            assert outcomes[0] is None
            assert isinstance(outcomes[1], DuplicateMessage)
            await desk.store.put([Group([desk.message("c")])], within=within)
        assert await desk.listed() == ["a", "c", "taken"]

    async def test_several_calls_in_one_transaction(self, desk: Bench) -> None:
        async with self.transaction(desk.namespace) as within:
            await desk.store.put([Group([desk.message("a"), desk.message("b")])], within=within)
            found = await desk.store.cancel(["a"], within=within)
            assert list(found) == [State.SCHEDULED]
            await desk.store.put([Group([desk.message("a", HOUR)])], within=within)
        assert await desk.listed() == ["b", "a"]

    async def test_a_claimed_message_is_withdrawn_with_the_commit(self, desk: Bench) -> None:
        await desk.put("a", "b")
        batch = await desk.claim()
        async with self.transaction(desk.namespace) as within:
            found = await desk.store.cancel(["a"], within=within)
            assert list(found) == [State.CLAIMED]
        assert await desk.renew(batch) == ["a"]
        assert await desk.settle(batch, {"a": Release(desk.start)})
        assert await desk.counts() == (0, 0, 0)
