"""Bugs that show when two mean the same id at once, and the cases that catch them."""

import asyncio
import copy
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest
from tests.stores.conftest import failures
from tests.stores.transacting import TransactingStore, TransactingSuite

from duly import DuplicateMessage, State
from duly.testing.stores.model import Model
from duly.testing.stores.plain import PlainStore


class FindsNothingInItsPlace(PlainStore):
    """It looks, waits, and takes what has replaced what it saw for nothing."""

    async def cancel(self, ids: Any, **more: Any) -> Any:
        seen = [self.model.entries.get(id) for id in ids]
        await asyncio.sleep(0)
        there = [self.model.entries.get(id) for id in ids]
        return [
            (await super(FindsNothingInItsPlace, self).cancel([id], **more))[0]
            if before is now
            else None
            for id, before, now in zip(ids, seen, there, strict=True)
        ]


class RefusesTheSecondReplacement(PlainStore):
    async def put(self, groups: Any, **more: Any) -> Any:
        ids = [message.id for group in groups for message in group.messages if group.replace]
        seen = [self.model.entries.get(id) for id in ids]
        await asyncio.sleep(0)
        if seen != [self.model.entries.get(id) for id in ids]:
            return [DuplicateMessage("an id is taken") for _ in groups]
        return await super().put(groups, **more)


class ReplacesInTwoSteps(PlainStore):
    async def put(self, groups: Any, **more: Any) -> Any:
        for group in groups:
            if group.replace:
                await self.cancel([message.id for message in group.messages])
                await asyncio.sleep(0)
        return await super().put(groups, **more)


class SettlesWhatReplacedIt(Model):
    def put(self, messages: Sequence[Any], *, replace: bool, as_is: bool = False) -> bool:
        held = {each.id: self.entries.get(each.id) for each in messages}
        stored = super().put(messages, replace=replace, as_is=as_is)
        for lease in self.leases:
            for entry in [each for each in lease.withdrawn if each in held.values()]:
                lease.withdrawn.remove(entry)
                lease.held.append(entry)
        return stored


class MovesUnderTheSameKey(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        before = self.entries.get(id)
        state = super().reschedule(id, at, of_state)
        if before is not None and state is of_state:
            after = self.entries[id]
            before.message, before.due, before.lapses = after.message, after.due, 0
            self.entries[id] = before
        return state


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    FindsNothingInItsPlace: "test_two_at_once",
    RefusesTheSecondReplacement: "test_replaced_by_many",
    ReplacesInTwoSteps: "test_an_id_is_seen_all_the_time",
    SettlesWhatReplacedIt: "test_replace_against_every_settlement",
    MovesUnderTheSameKey: "test_each_scheduling_has_a_key_of_its_own",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])


async def test_one_who_cancels_many_finds_all_of_them(assert_caught: Any) -> None:
    await assert_caught(FindsNothingInItsPlace, "test_all_are_found_while_all_are_replaced")


class TestTransactingStore(TransactingSuite):
    """Without a bug it passes every case."""

    __init__ = object.__init__  # pytest collects no class that has one of its own

    @pytest.fixture(autouse=True)
    def _stores(self) -> None:
        TransactingSuite.__init__(self)


class LooksBeforeItWaits(TransactingStore):
    async def cancel(self, ids: Any, *, within: Any = None, **more: Any) -> Any:
        seen = [await self.get(id) for id in ids]
        async with self.turn_of(within):
            there = [self.model.entries.get(id) for id in ids]
        if within is None and seen != [each and each.message for each in there]:
            return [None for _ in ids]
        return await super().cancel(ids, within=within, **more)


class DoesNotWait(TransactingStore):
    async def reschedule(self, id: str, at: datetime | None, **more: Any) -> Any:
        if more.get("within") is None and self.committed is not None:
            entry = self.committed.entries.get(id)
            return None if entry is None else entry.message.state
        return await super().reschedule(id, at, **more)


class ClaimsForNobody(TransactingStore):
    """What is claimed meanwhile is not claimed when the transaction has ended."""

    async def claim(self, **more: Any) -> Any:
        if self.committed is None:
            return await super().claim(**more)
        copied = PlainStore(clock=self.now)
        copied._model = copy.deepcopy(self._model)
        return await copied.claim(**more)


class ForgetsSettlementsWhenRolledBack(TransactingStore):
    """What is settled meanwhile is as it was when the transaction is rolled back."""

    async def claim(self, **more: Any) -> Any:
        return await PlainStore.claim(self, **more)


class DropsASettlementMeanwhile(TransactingStore):
    async def settle(self, settles: Any) -> Any:
        if self.committed is not None and settles:
            return [False for _ in settles]
        return await super().settle(settles)


WITHIN_CAUGHT_BY: dict[type[TransactingStore], str] = {
    LooksBeforeItWaits: "test_somebody_else_meanwhile",
    DoesNotWait: "test_somebody_else_meanwhile",
    ClaimsForNobody: "test_claimed_while_it_is_replaced",
    DropsASettlementMeanwhile: "test_settled_while_it_is_replaced",
}


class HeldUp(TransactingSuite):
    """It says nothing of others that have to wait."""

    waits_for_transactions = None
    outage_patience = 0.05


async def test_others_who_are_held_up_are_found() -> None:
    case = "test_others_are_recovered_while_one_is_held"
    assert "TimeoutError: " in [each async for each in failures(HeldUp(), case)]


@pytest.mark.parametrize(
    "case", ["test_held_ones_become_what_they_would_have", "test_held_when_it_is_settled_early"]
)
async def test_settlements_that_are_rolled_back_with_somebody_else_are_found(case: str) -> None:
    assert [each async for each in failures(HeldUp(ForgetsSettlementsWhenRolledBack), case)]


@pytest.mark.parametrize("bug", WITHIN_CAUGHT_BY)
async def test_a_bug_beside_a_transaction_is_caught(
    assert_caught_in: Any, bug: type[TransactingStore]
) -> None:
    await assert_caught_in(TransactingSuite(bug), TransactingSuite(), WITHIN_CAUGHT_BY[bug])
