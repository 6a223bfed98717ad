"""Cases for what a store may be able to do beyond its contract."""

import asyncio
from abc import abstractmethod
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

import pytest

from duly.errors import DuplicateMessage, InvalidArgument
from duly.message import State
from duly.store import (
    Bury,
    Group,
    Release,
    Store,
    SupportsPeeking,
    SupportsTransactions,
    SupportsWakeups,
)
from duly.testing.stores.bench import Bench
from duly.testing.stores.harness import StoreHarness
from duly.testing.stores.situations import HOUR, retry

PATIENCE = 10
"""Seconds after which a wake-up that should have come is missed."""

CHANGES = ["put", "replaced", "moved", "released", "put back", "replayed"]


async def change(bench: Bench, how: str) -> None:
    """Bring something in, or move it, which may be due earlier than expected."""
    if how in ("put", "replaced"):
        await bench.put("a", replace=how == "replaced")
    elif how == "moved":
        await bench.store.reschedule("a", bench.start, of_state=State.SCHEDULED)
    elif how == "replayed":
        await bench.store.reschedule("dead", None, of_state=State.DEAD)
    else:
        batch = await bench.claim()
        (message,) = [claim.message for claim in batch.claims]
        outcome = retry(message) if how == "put back" else Release(bench.start)
        assert await bench.settle(batch, {message.id: outcome})


async def prepare(bench: Bench, how: str) -> None:
    """What has to be there for the change."""
    if how == "replayed":
        await bench.put("dead")
        assert await bench.settle(await bench.claim(), {"dead": Bury("broken")})
    elif how != "put":
        await bench.put("a", after=-HOUR if how in ("released", "put back") else HOUR)


class WakeupCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsWakeups`."""

    def _waker(self, store: Store) -> SupportsWakeups:
        assert isinstance(store, SupportsWakeups)
        return store

    @pytest.mark.parametrize("how", CHANGES)
    async def test_a_change_elsewhere_wakes(self, desk: Bench, how: str) -> None:
        waker = self._waker(await desk.another())
        await prepare(desk, how)
        await self._settled(waker)
        later = asyncio.create_task(self._later(desk, how))
        async with asyncio.timeout(PATIENCE):
            await waker.wait_for_change()
        await later

    @pytest.mark.parametrize("how", CHANGES)
    async def test_a_change_between_two_calls_is_not_missed(self, desk: Bench, how: str) -> None:
        waker = self._waker(await desk.another())
        await prepare(desk, how)
        await self._settled(waker)
        await change(desk, how)
        async with asyncio.timeout(PATIENCE):
            await waker.wait_for_change()

    async def test_every_waiting_store_is_woken(self, desk: Bench) -> None:
        everybody = asyncio.Barrier(5)

        async def wait() -> None:
            waker = self._waker(await desk.another())
            await self._settled(waker)
            await everybody.wait()
            async with asyncio.timeout(PATIENCE):
                await waker.wait_for_change()

        tasks = [asyncio.create_task(wait()) for _ in range(4)]
        await everybody.wait()
        await change(desk, "put")
        await asyncio.gather(*tasks)

    async def test_all_who_wait_at_one_store_are_woken(self, desk: Bench) -> None:
        waker = self._waker(await desk.another())
        await self._settled(waker)
        tasks = [asyncio.create_task(waker.wait_for_change()) for _ in range(3)]
        await asyncio.sleep(0.02)
        await change(desk, "put")
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)

    async def _later(self, bench: Bench, how: str) -> None:
        await asyncio.sleep(0.02)
        await change(bench, how)

    async def _settled(self, waker: SupportsWakeups) -> None:
        """Wait until it is quiet: a wait may return too often, but not for ever."""
        for _ in range(50):
            try:
                async with asyncio.timeout(0.05):
                    await waker.wait_for_change()
            except TimeoutError:
                return
        pytest.fail("wait_for_change returns all the time although nothing changes")


class PeekingCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsPeeking`."""

    async def _quiet(self, store: Store) -> SupportsPeeking:
        assert isinstance(store, SupportsPeeking)
        for _ in range(10):
            if not await store.changed():
                return store
        pytest.fail("changed() is True again and again although nothing changes")

    @pytest.mark.parametrize("how", CHANGES)
    async def test_a_change_elsewhere_is_seen(self, desk: Bench, how: str) -> None:
        store = await desk.another()
        await prepare(desk, how)
        peeking = await self._quiet(store)
        await change(desk, how)
        assert await peeking.changed()
        await self._quiet(store)


class _RollBack(Exception):
    """Leaves a transaction so that it is rolled back."""


class TransactionCases(StoreHarness):
    """For stores that are :class:`~duly.store.SupportsTransactions`."""

    @abstractmethod
    def transaction(self, namespace: str) -> AbstractAsyncContextManager[Any]:
        """A transaction of the caller's own, to be given as ``within``.

        Committed when the block ends well, rolled back when it raises.
        """

    @abstractmethod
    def transaction_elsewhere(self) -> AbstractAsyncContextManager[Any]:
        """A transaction of the same kind in another database, where no store of ours is."""

    async def test_what_transactions_it_accepts(self, desk: Bench) -> None:
        assert isinstance(desk.store, SupportsTransactions)
        async with self.transaction(desk.namespace) as within:
            assert desk.store.accepts(within)
        for other in (None, object(), "transaction", desk.store):
            assert not desk.store.accepts(other)

    async def test_a_transaction_elsewhere_is_refused(self, desk: Bench) -> None:
        """What were stored there, nobody would find."""
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
        with suppress(_RollBack):
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
                raise _RollBack
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
