"""Bugs in settling, and the cases that catch them."""

from collections.abc import Sequence
from typing import Any

import attrs
import pytest

from duly.message import State, with_changes
from duly.record import occurrence
from duly.store import Batch, Bury, Release, Reschedule, Settle, Settlement
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, Lease
from duly.testing.stores.plain import PlainStore


class SettledEarlyButStillInTheLease(Model):
    def settle(self, lease: Lease, exceptions: Any, only: Any) -> bool:
        before = list(lease.held)
        settled = super().settle(lease, exceptions, only)
        lease.held = [each for each in before if each.message.id in self.entries]
        return settled


class LapsesBringBackWhatWasSettledEarly(Model):
    def recover(self) -> None:
        for lease in self.leases:
            if not self.valid(lease):
                held = [each for each in lease.claimed if each not in lease.withdrawn]
                lease.held = held
                self.entries |= {each.message.id: each for each in held}
        super().recover()


class EarlySettlingEndsTheLease(Model):
    def settle(self, lease: Lease, exceptions: Any, only: Any) -> bool:
        settled = super().settle(lease, exceptions, only)
        if settled and lease in self.leases:
            self.leases.remove(lease)
        return settled


class EarlySettlingKnowsNoExceptions(Model):
    def settle(self, lease: Lease, exceptions: Any, only: Any) -> bool:
        return super().settle(lease, exceptions if only is None else {}, only)


class SettlesTwice(Model):
    def settle(self, lease: Lease, exceptions: Any, only: Any) -> bool:
        return super().settle(lease, exceptions, only) or lease not in self.leases


class SettlesAfterTheClaim(PlainStore):
    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        batch = await super().claim(**more)
        return attrs.evolve(batch, settled=await self.settle(settle))


class StopsAtAnUnknownToken(PlainStore):
    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        answers: list[bool] = []
        for each in settles:
            answers += await super().settle([each]) if False not in answers else [False]
        return answers


class SettlesByIdAlone(Model):
    """Without a key of its own each scheduling is mistaken for the next one."""

    def _remove(self, entry: Entry) -> None:
        del self.entries[entry.message.id]

    def _settle(self, entry: Entry, settlement: Settlement | None) -> None:
        stored = self.entries.get(entry.message.id)
        if stored is not None:
            super()._settle(stored, settlement)


class _Settling(Model):
    """What goes wrong with one message that is settled."""

    def _settle(self, entry: Entry, settlement: Settlement | None) -> None:
        before = attrs.evolve(entry)
        super()._settle(entry, settlement)
        self.wrong(before, entry, settlement)

    def wrong(self, before: Entry, after: Entry, settlement: Settlement | None) -> None:
        raise NotImplementedError


class ReleaseCounts(_Settling):
    def wrong(self, before: Entry, after: Entry, settlement: Settlement | None) -> None:
        if isinstance(settlement, Release):
            after.message = with_changes(after.message, retry_count=before.message.retry_count + 1)


class ReleaseForgetsLapses(_Settling):
    def wrong(self, before: Entry, after: Entry, settlement: Settlement | None) -> None:
        if isinstance(settlement, Release):
            after.lapses = 0


class ReleaseIsAtOnce(_Settling):
    def wrong(self, before: Entry, after: Entry, settlement: Settlement | None) -> None:
        if isinstance(settlement, Release):
            after.due = before.due


class RetriesKeepLapses(_Settling):
    def wrong(self, before: Entry, after: Entry, settlement: Settlement | None) -> None:
        if isinstance(settlement, Reschedule):
            after.lapses = before.lapses


class TheNextFireKeepsItsTime(_Settling):
    def wrong(self, before: Entry, after: Entry, settlement: Settlement | None) -> None:
        if isinstance(settlement, Reschedule):
            after.message = with_changes(after.message, scheduled_at=before.message.scheduled_at)


class ForgetsTheLastError(_Settling):
    def wrong(self, before: Entry, after: Entry, settlement: Settlement | None) -> None:
        if isinstance(settlement, Reschedule):
            after.message = with_changes(after.message, last_error=None)


class BuryEndsTheSeries(Model):
    def _bury_occurrence(self, entry: Entry, settlement: Bury) -> None:
        super()._bury_occurrence(entry, Bury(settlement.reason))


class BuryOverwrites(Model):
    def _bury_occurrence(self, entry: Entry, settlement: Bury) -> None:
        self.entries.pop(occurrence(entry.message, "").id, None)
        super()._bury_occurrence(entry, settlement)


class BuriesTheWholeSeries(Model):
    def _bury_occurrence(self, entry: Entry, settlement: Bury) -> None:
        entry.message = with_changes(entry.message, state=State.DEAD, last_error=settlement.reason)


class OneDeadLetterForASeries(Model):
    def _bury_occurrence(self, entry: Entry, settlement: Bury) -> None:
        super()._bury_occurrence(entry, settlement)
        dead = [each.message.id for each in self.of_state(State.DEAD)]
        for id in dead[:-1]:
            del self.entries[id]


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    SettledEarlyButStillInTheLease: "test_the_rest_is_settled_without_them",
    LapsesBringBackWhatWasSettledEarly: "test_a_lapse_brings_nothing_of_it_back",
    EarlySettlingEndsTheLease: "test_only_those_are_settled",
    EarlySettlingKnowsNoExceptions: "test_some_delivered_some_not",
    SettlesTwice: "test_settled_twice",
    SettlesAfterTheClaim: "test_what_is_released_may_come_with_the_same_call",
    StopsAtAnUnknownToken: "test_many_settles_in_one_call",
    SettlesByIdAlone: "test_cancelled_in_flight_and_stored_anew",
    ReleaseCounts: "test_what_is_released_is_as_it_was",
    ReleaseForgetsLapses: "test_a_release_does_not_clear",
    ReleaseIsAtOnce: "test_what_is_released_is_as_it_was",
    RetriesKeepLapses: "test_a_retry_clears",
    TheNextFireKeepsItsTime: "test_the_list_follows_the_fires",
    ForgetsTheLastError: "test_what_is_put_back_remembers_the_counters",
    BuryEndsTheSeries: "test_buried_alone_and_the_series_goes_on",
    BuryOverwrites: "test_its_id_is_taken",
    BuriesTheWholeSeries: "test_buried_alone_and_the_series_goes_on",
    OneDeadLetterForASeries: "test_several_occurrences_are_buried_each",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
