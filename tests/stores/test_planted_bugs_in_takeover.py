"""Bugs in how leases are taken over, and the cases that catch them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from duly.message import State, with_changes
from duly.store import Batch, Settle
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, Lease
from duly.testing.stores.plain import PlainStore


class Taking(PlainStore):
    """Whose leases end is for bugs to say, and what comes of it."""

    def is_meant(self, lease: Lease, owner: str) -> bool:
        return lease.owner == owner

    async def lapse(self, owner: str) -> int:
        model = self.model
        ended = [each for each in model.leases if self.is_meant(each, owner) and model.valid(each)]
        for each in ended:
            each.end = model.now
        return sum(len(each.held) for each in ended)


class EndsEverybodys(Taking):
    def is_meant(self, lease: Lease, owner: str) -> bool:
        return True


class OwnersHaveNoCase(Taking):
    def is_meant(self, lease: Lease, owner: str) -> bool:
        return lease.owner.lower() == owner.lower()


class AnOwnerIsAPrefix(Taking):
    def is_meant(self, lease: Lease, owner: str) -> bool:
        return lease.owner.startswith(owner)


class AnOwnerIsAPart(Taking):
    """Of what stands in the lease for people to read."""

    def is_meant(self, lease: Lease, owner: str) -> bool:
        return owner in lease.owner.split(":")


class OwnersAreTrimmed(Taking):
    def is_meant(self, lease: Lease, owner: str) -> bool:
        return lease.owner.strip() == owner.strip()


class EndsThoseThatHoldSomething(Taking):
    def is_meant(self, lease: Lease, owner: str) -> bool:
        return lease.owner == owner and bool(lease.held)


class EndsTheFirstAlone(PlainStore):
    async def lapse(self, owner: str) -> int:
        model = self.model
        for each in model.leases:
            if each.owner == owner and model.valid(each):
                each.end = model.now
                return len(each.held)
        return 0


class EndsInAMoment(PlainStore):
    """A moment later, that is."""

    async def lapse(self, owner: str) -> int:
        found = [each for each in self.model.leases if each.owner == owner]
        for each in found:
            each.end = self.model.now + timedelta(milliseconds=1)
        return sum(len(each.held) for each in found)


class CountsWhatWasClaimed(PlainStore):
    async def lapse(self, owner: str) -> int:
        model = self.model
        ended = [each for each in model.leases if each.owner == owner and model.valid(each)]
        await super().lapse(owner)
        return sum(len(each.claimed) for each in ended)


class CountsLeases(PlainStore):
    async def lapse(self, owner: str) -> int:
        model = self.model
        ended = [each for each in model.leases if each.owner == owner and model.valid(each)]
        await super().lapse(owner)
        return len(ended)


class CountsWhatHasLapsed(PlainStore):
    async def lapse(self, owner: str) -> int:
        model = self.model
        lapsed = [each for each in model.leases if each.owner == owner and not model.valid(each)]
        return sum(len(each.held) for each in lapsed) + await super().lapse(owner)


class PutsBackAtOnce(PlainStore):
    async def lapse(self, owner: str) -> int:
        held = await super().lapse(owner)
        self.model.recover()
        return held


class IsNoLapse(PlainStore):
    """Uncounted, a message that kills its schedulers is never a suspect."""

    async def lapse(self, owner: str) -> int:
        for lease in self.model.leases:
            for entry in lease.held if lease.owner == owner else ():
                entry.lapses -= 1
        return await super().lapse(owner)


class StandsWhereItIsTaken(PlainStore):
    async def lapse(self, owner: str) -> int:
        for lease in self.model.leases:
            for entry in lease.held if lease.owner == owner else ():
                entry.due = self.model.now
        return await super().lapse(owner)


class GoesBackToItsSiding(PlainStore):
    async def lapse(self, owner: str) -> int:
        for lease in self.model.leases:
            for entry in lease.held if lease.owner == owner else ():
                entry.aside = True
        return await super().lapse(owner)


class ATokenStaysValid(PlainStore):
    """Its messages are given to others, and its holder is told that all is well."""

    async def lapse(self, owner: str) -> int:
        held = 0
        for lease in self.model.leases:
            if lease.owner == owner:
                held += len(lease.held)
                self.model.leases = [*self.model.leases, Lease(self.model.now, [], lease.held)]
                lease.held = []
        return held


class ARenewalRevives(PlainStore):
    async def renew(self, tokens: Sequence[str], lease: timedelta) -> Any:
        for token in tokens:
            found = self._lease(token)
            if found is not None and found in self.model.leases:
                found.end = max(found.end, self.model.now + lease)
        return await super().renew(tokens, lease)


class RenewsInTwoSteps(PlainStore):
    async def renew(self, tokens: Sequence[str], lease: timedelta) -> Any:
        valid = [each for each in map(self._lease, tokens) if each and self.model.valid(each)]
        await asyncio.sleep(0)
        for each in valid:
            each.end = self.model.now + lease
        return await super().renew(tokens, lease)


class SettlesInTwoSteps(PlainStore):
    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        found = [self._lease(each.token) for each in settles]
        valid = [each for each in found if each is not None and self.model.valid(each)]
        await asyncio.sleep(0)
        for each in valid:
            if each not in self.model.leases:
                self.model.leases.append(each)
            each.end = self.model.now + timedelta(seconds=1)
        return await super().settle(settles)


class TakesInTwoSteps(PlainStore):
    """What is ended meanwhile is counted all the same."""

    async def lapse(self, owner: str) -> int:
        model = self.model
        found = [each for each in model.leases if each.owner == owner and model.valid(each)]
        held = sum(len(each.held) for each in found)
        await asyncio.sleep(0)
        await super().lapse(owner)
        return held


class BansTheOwner(PlainStore):
    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.banned: set[str] = set()

    async def lapse(self, owner: str) -> int:
        self.banned.add(owner)
        return await super().lapse(owner)

    async def claim(self, *, owner: str, **more: Any) -> Batch:
        batch = await super().claim(owner=owner, **more)
        if owner in self.banned:
            await super().lapse(owner)
        return batch


class LapsesAreForgottenByARelease(Model):
    """Only those that were ended count from there on."""

    def claim(self, taken: Sequence[Entry], *given: Any) -> Lease | None:
        for entry in taken:
            entry.lapses = min(entry.lapses, 1)
        return super().claim(taken, *given)


class IsGoneAtOnce(PlainStore):
    async def lapse(self, owner: str) -> int:
        for lease in self.model.leases:
            for entry in lease.held if lease.owner == owner else ():
                entry.message = with_changes(entry.message, state=State.DEAD)
        return await super().lapse(owner)


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    EndsEverybodys: "test_others_keep_what_they_hold",
    OwnersHaveNoCase: "test_others_keep_what_they_hold",
    AnOwnerIsAPrefix: "test_others_keep_what_they_hold",
    AnOwnerIsAPart: "test_others_keep_what_they_hold",
    OwnersAreTrimmed: "test_others_keep_what_they_hold",
    EndsThoseThatHoldSomething: "test_a_lease_that_holds_nothing_ends_too",
    EndsTheFirstAlone: "test_all_leases_of_that_owner_end",
    EndsInAMoment: "test_what_is_taken_over_comes_with_the_next_claim",
    CountsWhatWasClaimed: "test_what_has_left_the_lease_is_not_counted",
    CountsLeases: "test_what_is_taken_over_comes_with_the_next_claim",
    CountsWhatHasLapsed: "test_what_has_lapsed_already_is_held_no_more",
    PutsBackAtOnce: "test_until_the_next_claim_it_is_as_a_lapse",
    IsNoLapse: "test_the_second_time_makes_suspects",
    StandsWhereItIsTaken: "test_it_stands_at_its_old_place",
    GoesBackToItsSiding: "test_what_stood_aside_goes_to_the_main_line",
    ATokenStaysValid: "test_the_old_token_is_void",
    ARenewalRevives: "test_the_old_token_is_void",
    RenewsInTwoSteps: "test_against_renew",
    SettlesInTwoSteps: "test_against_settle",
    TakesInTwoSteps: "test_taken_over_by_many",
    BansTheOwner: "test_what_it_claims_afterwards_is_its_own",
    LapsesAreForgottenByARelease: "test_lapses_of_either_kind_add_up",
    IsGoneAtOnce: "test_until_the_next_claim_it_is_as_a_lapse",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_in_taking_over_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
