"""Bugs in what becomes of series that are ensured or declared, and the cases that catch them."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import attrs
import pytest
from tests.stores.conftest import PlantedSuite

from duly.message import Message, State, with_changes
from duly.recurrence import Every
from duly.store import (
    Bury,
    Declared,
    End,
    Ensured,
    EnsurePlan,
    Reschedule,
    Settlement,
    Successor,
)
from duly.store import ensured as planned
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry
from duly.testing.stores.plain import PlainStore


class _Planning(Model):
    """What goes wrong with a plan."""

    def wrong(self, plan: EnsurePlan, stored: Message | None, wanted: Message) -> EnsurePlan:
        raise NotImplementedError

    def _plan(
        self, stored: Message | None, successor: Successor | None, wanted: Message
    ) -> EnsurePlan:
        plan = planned(stored, successor, wanted, self.now)
        if plan.stored is None:
            return plan
        return self.wrong(plan, stored, wanted)


class TakesTheObjectsCreation(_Planning):
    def wrong(self, plan: EnsurePlan, stored: Message | None, wanted: Message) -> EnsurePlan:
        if stored is not None or plan.stored is None:
            return plan
        born = with_changes(plan.stored, created_at=wanted.created_at)
        return attrs.evolve(plan, stored=born)


class WritesTheSameAgain(Model):
    def _plan(
        self, stored: Message | None, successor: Successor | None, wanted: Message
    ) -> EnsurePlan:
        plan = planned(stored, successor, wanted, self.now)
        if plan.outcome is Ensured.SAME and stored is not None:
            moved = with_changes(stored, created_at=self.now)
            return attrs.evolve(plan, stored=moved, successor=successor)
        return plan


class KeepsTheOldPayload(_Planning):
    def wrong(self, plan: EnsurePlan, stored: Message | None, wanted: Message) -> EnsurePlan:
        if stored is None or plan.stored is None:
            return plan
        return attrs.evolve(plan, stored=with_changes(plan.stored, payload=stored.payload))


class ChangesMoveToNow(_Planning):
    def wrong(self, plan: EnsurePlan, stored: Message | None, wanted: Message) -> EnsurePlan:
        if plan.stored is None or stored is None:
            return plan
        at = self.now + timedelta(hours=2)
        row = with_changes(plan.stored, scheduled_at=at, next_attempt_at=at)
        return attrs.evolve(plan, stored=row, moves=plan.stored.state is State.SCHEDULED)


class ForgetsRetries(_Planning):
    def wrong(self, plan: EnsurePlan, stored: Message | None, wanted: Message) -> EnsurePlan:
        assert plan.stored is not None
        row = with_changes(plan.stored, retry_count=0, last_error=None)
        return attrs.evolve(plan, stored=row)


class ForgetsLapses(Model):
    def _carry_out(self, entry: Entry | None, plan: EnsurePlan) -> None:
        super()._carry_out(entry, plan)
        if entry is not None:
            entry.lapses = 0


class NothingFollows(_Planning):
    def wrong(self, plan: EnsurePlan, stored: Message | None, wanted: Message) -> EnsurePlan:
        return attrs.evolve(plan, successor=None)


class WritesTheNewRuleAtOnce(_Planning):
    def wrong(self, plan: EnsurePlan, stored: Message | None, wanted: Message) -> EnsurePlan:
        assert plan.stored is not None
        return attrs.evolve(plan, stored=with_changes(plan.stored, recurrence=wanted.recurrence))


class PushesFiresAway(Model):
    """Another interval counts from now, whatever stood before."""

    def _plan(
        self, stored: Message | None, successor: Successor | None, wanted: Message
    ) -> EnsurePlan:
        plan = planned(stored, successor, wanted, self.now)
        rule = wanted.recurrence
        if plan.outcome is not Ensured.CHANGED or plan.stored is None or stored is None:
            return plan
        if rule == stored.recurrence or not isinstance(rule, Every) or rule.anchor is not None:
            return plan
        at = self.now + rule.interval
        row = with_changes(plan.stored, scheduled_at=at, next_attempt_at=at)
        return attrs.evolve(plan, stored=row, moves=True)


class OneForAll(Model):
    """A single outcome stands for all that were asked for."""

    def ensure(
        self, wanted: Sequence[Message], declared: Declared | None
    ) -> Sequence[Ensured | Exception]:
        outcomes = super().ensure(wanted, declared)
        return [outcomes[0] for _ in outcomes]


class EndsAreEnds(Model):
    def _gives_way(self, entry: Entry, settlement: Settlement | None) -> bool:
        told = settlement.next if isinstance(settlement, Bury) else settlement
        return not isinstance(told, End) and super()._gives_way(entry, settlement)


class BuriesWithoutGivingWay(Model):
    def _gives_way(self, entry: Entry, settlement: Settlement | None) -> bool:
        return not isinstance(settlement, Bury) and super()._gives_way(entry, settlement)


class GivesWayAtOnce(Model):
    def _gives_way(self, entry: Entry, settlement: Settlement | None) -> bool:
        successor = entry.successor
        if successor is None or not isinstance(settlement, Reschedule):
            return super()._gives_way(entry, settlement)
        self._take_place(entry, successor, settlement.counters.occurrence_count)
        return True


class LosesWhatWasMissed(Model):
    def _brings_the_missed(self, entry: Entry, successor: Successor, told: Reschedule) -> bool:
        return False


class CountsAnew(Model):
    def _take_place(self, entry: Entry, successor: Successor, count: int) -> None:
        super()._take_place(entry, successor, 0)


class FollowsForEver(Model):
    def _take_place(self, entry: Entry, successor: Successor, count: int) -> None:
        super()._take_place(entry, successor, count)
        entry.successor = successor


class SuccessorsKeepLapses(Model):
    def _take_place(self, entry: Entry, successor: Successor, count: int) -> None:
        lapses = entry.lapses
        super()._take_place(entry, successor, count)
        entry.lapses = lapses


class MovesTheOldOne(Model):
    def reschedule(self, id: str, at: Any, of_state: State) -> State | None:
        entry = self.entries.get(id)
        if entry is not None:
            entry.successor = None
        return super().reschedule(id, at, of_state)


class MovesTheOldOneWhereNothingFollows(Model):
    def _to_be_moved(self, entry: Entry) -> Message:
        if entry.successor is not None and entry.successor.at is None:
            return entry.message
        return super()._to_be_moved(entry)


class MovesWhatFollowsToTheOldFire(Model):
    def reschedule(self, id: str, at: Any, of_state: State) -> State | None:
        entry = self.entries.get(id)
        if entry is not None and at is None:
            at = entry.message.scheduled_at
        return super().reschedule(id, at, of_state)


class KnowsNoFloor(Model):
    def ensure(
        self, wanted: Sequence[Message], declared: Declared | None
    ) -> Sequence[Ensured | Exception]:
        self.floors.clear()
        return super().ensure(wanted, declared)


class AnEmptySetIsNothing(Model):
    def ensure(
        self, wanted: Sequence[Message], declared: Declared | None
    ) -> Sequence[Ensured | Exception]:
        return super().ensure(wanted, declared) if wanted else []


class TheSameKeepsItsGeneration(Model):
    def _ensure(self, wanted: Message, declared: Declared | None) -> Ensured | Exception:
        entry = self.entries.get(wanted.id)
        before = None if entry is None else entry.declared
        outcome = super()._ensure(wanted, declared)
        if outcome is Ensured.SAME:
            self.entries[wanted.id].declared = before
        return outcome


class BelongsToTheFirst(Model):
    def _ensure(self, wanted: Message, declared: Declared | None) -> Ensured | Exception:
        entry = self.entries.get(wanted.id)
        if entry is not None and entry.declared is not None and declared is not None:
            declared = Declared(entry.declared.by, declared.generation)
        return super()._ensure(wanted, declared)


class UndeclaresThisGenerationToo(Model):
    def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        return super().undeclare(by, generation + 1)


class SparesWhatIsClaimed(Model):
    def undeclare(self, by: str, generation: int) -> Sequence[tuple[str, State]]:
        spared = {
            id: each for id, each in self.entries.items() if each.message.state is State.CLAIMED
        }
        for id in spared:
            del self.entries[id]
        gone = super().undeclare(by, generation)
        self.entries |= spared
        return gone


class ForgetsWhoDeclaresWhatIsMoved(Model):
    def reschedule(self, id: str, at: Any, of_state: State) -> State | None:
        found = super().reschedule(id, at, of_state)
        if found is of_state:
            self.entries[id].declared = None
        return found


class ForgetsWhoDeclaresWhatFollows(Model):
    def _take_place(self, entry: Entry, successor: Successor, count: int) -> None:
        super()._take_place(entry, successor, count)
        entry.declared = None


class TellsNothingOfWhatFollows(Model):
    def follows(self, entry: Entry) -> Message | None:
        return None


CAUGHT_BY: dict[type[Model], str] = {
    TakesTheObjectsCreation: "test_ensure_unknown",
    WritesTheSameAgain: "test_ensure_same_writes_nothing",
    KeepsTheOldPayload: "test_ensure_payload_waiting",
    ChangesMoveToNow: "test_ensure_option_waiting_keeps_the_next_fire",
    ForgetsRetries: "test_ensure_payload_begun",
    ForgetsLapses: "test_ensure_keeps_suspects",
    NothingFollows: "test_ensure_rule_begun",
    WritesTheNewRuleAtOnce: "test_ensure_once_to_skip_keeps_the_overdue_fire",
    PushesFiresAway: "test_ensure_flapping_rules_still_fire",
    OneForAll: "test_ensure_several_each_on_its_own",
    EndsAreEnds: "test_ensure_rule_in_flight",
    BuriesWithoutGivingWay: "test_ensure_rule_in_flight",
    GivesWayAtOnce: "test_ensure_rule_in_flight_missed_all_goes_on",
    LosesWhatWasMissed: "test_ensure_once_brings_the_latest_that_was_missed",
    CountsAnew: "test_ensure_rule_in_flight",
    FollowsForEver: "test_ensure_rule_begun",
    SuccessorsKeepLapses: "test_ensure_keeps_suspects",
    MovesTheOldOne: "test_ensure_and_another_verb_while_one_follows",
    MovesTheOldOneWhereNothingFollows: "test_ensure_until_and_a_move_of_the_last_fire",
    MovesWhatFollowsToTheOldFire: "test_ensure_and_a_move_to_where_it_is_while_one_follows",
    KnowsNoFloor: "test_declare_rolling",
    AnEmptySetIsNothing: "test_declare_empty_set_raises_the_floor",
    TheSameKeepsItsGeneration: "test_declare_same_series_belong_to_the_newer_generation",
    BelongsToTheFirst: "test_declare_moves_between_two_by",
    UndeclaresThisGenerationToo: "test_declare_rolling",
    SparesWhatIsClaimed: "test_undeclare_tells_what_it_found",
    ForgetsWhoDeclaresWhatIsMoved: "test_declare_holds_for_what_is_moved",
    ForgetsWhoDeclaresWhatFollows: "test_declare_holds_for_what_follows",
    TellsNothingOfWhatFollows: "test_ensure_where_tells_what_follows",
}

# What the long histories catch of these; of what comes to light at once, and of what needs many
# steps in a row.
IN_HISTORIES = [
    TakesTheObjectsCreation, ForgetsRetries, NothingFollows, BuriesWithoutGivingWay, GivesWayAtOnce,
    LosesWhatWasMissed, FollowsForEver, SuccessorsKeepLapses, MovesTheOldOne, KnowsNoFloor,
    AnEmptySetIsNothing, BelongsToTheFirst, SparesWhatIsClaimed, ForgetsWhoDeclaresWhatIsMoved,
    ForgetsWhoDeclaresWhatFollows, TellsNothingOfWhatFollows,
]  # fmt: skip


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])


@pytest.mark.parametrize("bug", IN_HISTORIES)
async def test_histories_catch_it(bug: type[Model]) -> None:
    with pytest.raises(AssertionError) as caught:
        await PlantedSuite(bug).test_histories_of_series()
    assert any("with the seed" in note for note in caught.value.__notes__)


async def test_histories_find_nothing_where_there_is_nothing() -> None:
    await PlantedSuite(PlainStore).test_histories_of_series()
