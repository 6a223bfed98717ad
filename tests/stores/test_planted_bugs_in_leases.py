"""Bugs in leases, and the cases that catch them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from duly.message import State, with_changes
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, Lease
from duly.testing.stores.plain import PlainStore

MICROSECOND = timedelta(microseconds=1)


class LapsesEarly(Model):
    def valid(self, lease: Lease) -> bool:
        return lease in self.leases and self.now < lease.end - MICROSECOND


class LapsesLate(Model):
    def valid(self, lease: Lease) -> bool:
        return lease in self.leases and self.now <= lease.end


class ValidUntilSomebodyClaims(Model):
    def settle(self, lease: Lease, *more: Any) -> bool:
        now, self.now = self.now, min(self.now, lease.end - MICROSECOND)
        try:
            return super().settle(lease, *more)
        finally:
            self.now = now


class LapsesDoNotVoidTheToken(Model):
    def valid(self, lease: Lease) -> bool:
        return True

    def recover(self) -> None:
        for lease in self.leases:
            if self.now >= lease.end:
                for entry in lease.held:
                    entry.message = with_changes(entry.message, state=State.SCHEDULED)
                    entry.lapses += 1
                lease.end += timedelta(days=999)


class LapsesCountTwice(Model):
    def recover(self) -> None:
        lapsed = [entry for each in self.leases if not self.valid(each) for entry in each.held]
        super().recover()
        for entry in lapsed:
            entry.lapses += 1


class LapsesAreForgotten(Model):
    def claim(self, taken: Sequence[Entry], duration: timedelta, owner: str = "") -> Lease | None:
        for entry in taken:
            entry.lapses = min(entry.lapses, 1)
        return super().claim(taken, duration, owner)


class OneLapsedLeaseAtATime(Model):
    def recover(self) -> None:
        ended = [each for each in self.leases if not self.valid(each)]
        running = [each for each in self.leases if self.valid(each)]
        self.leases = [*ended[:1], *running]
        super().recover()
        self.leases += ended[1:]


class LapsedOnesQueueUpAgain(Model):
    def recover(self) -> None:
        lapsed = [entry for each in self.leases if not self.valid(each) for entry in each.held]
        super().recover()
        for entry in lapsed:
            entry.due = self.now


class RenewsFromTheOldEnd(Model):
    def renew(self, lease: Lease, duration: timedelta) -> Sequence[Entry] | None:
        before = lease.end
        withdrawn = super().renew(lease, duration)
        lease.end = before + duration if withdrawn is not None else before
        return withdrawn


class DoesNotRenew(Model):
    def renew(self, lease: Lease, duration: timedelta) -> Sequence[Entry] | None:
        return lease.withdrawn if self.valid(lease) else None


class RenewsWhatHasLapsed(Model):
    def renew(self, lease: Lease, duration: timedelta) -> Sequence[Entry] | None:
        if lease not in self.leases:
            return None
        lease.end = self.now + duration
        return lease.withdrawn


class TellsWhatWasWithdrawnOnce(Model):
    def renew(self, lease: Lease, duration: timedelta) -> Sequence[Entry] | None:
        withdrawn = super().renew(lease, duration)
        if withdrawn is not None:
            lease.withdrawn = []
        return withdrawn


class RenewsNothingAfterALostOne(PlainStore):
    async def renew(self, tokens: Sequence[str], lease: timedelta) -> Any:
        answers = await super().renew(tokens, lease)
        lost = list(answers).index(None) if None in answers else len(tokens)
        return [*answers[:lost], *[None] * (len(tokens) - lost)]


class HoldsWhatNobodyHeardOf(PlainStore):
    async def claim(self, **more: Any) -> Any:
        batch = await super().claim(**more)
        await asyncio.sleep(0.01)
        return batch


class CountsWhatNobodyHeardOf(HoldsWhatNobodyHeardOf):
    async def claim(self, **more: Any) -> Any:
        try:
            return await super().claim(**more)
        except asyncio.CancelledError:
            self.model.leases[-1].end = self.now()
            raise


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    LapsesEarly: "test_not_a_microsecond_before",
    LapsesLate: "test_not_a_microsecond_before",
    ValidUntilSomebodyClaims: "test_lapsed_before_any_claim",
    LapsesDoNotVoidTheToken: "test_lapsed_while_held_anew",
    LapsesCountTwice: "test_every_lapse_counts_once",
    LapsesAreForgotten: "test_lapses_add_up",
    OneLapsedLeaseAtATime: "test_all_that_lapsed_comes_back_with_one_claim",
    LapsedOnesQueueUpAgain: "test_what_lapsed_stands_at_its_old_place",
    RenewsFromTheOldEnd: "test_counted_from_the_renewal",
    DoesNotRenew: "test_a_renewed_lease_goes_on",
    RenewsWhatHasLapsed: "test_a_lost_renewal_revives_nothing",
    TellsWhatWasWithdrawnOnce: "test_what_was_withdrawn_is_told_until_it_is_settled",
    RenewsNothingAfterALostOne: "test_many_tokens_in_one_call",
    HoldsWhatNobodyHeardOf: "test_unheard_a_claim_that_is_answered_while_nobody_looks",
    CountsWhatNobodyHeardOf: "test_unheard_a_claim_that_is_answered_while_nobody_looks",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
