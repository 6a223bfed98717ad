"""Bugs in what is kept of deaths, postponements and moved messages, and the cases that catch them."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from duly.message import Message, State, with_changes
from duly.store import Bury, Settlement, Whereabouts
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry
from duly.testing.stores.plain import PlainStore


class _Settling(Model):
    """What goes wrong with a message that is settled."""

    def wrong(self, before: Message, after: Message) -> Message:
        raise NotImplementedError

    def _settle(self, entry: Entry, settlement: Settlement | None) -> None:
        before = entry.message
        super()._settle(entry, settlement)
        entry.message = self.wrong(before, entry.message)


class ForgetsWhenItDied(_Settling):
    def wrong(self, before: Message, after: Message) -> Message:
        return with_changes(after, died_at=None)


class DiesWhenItWasDue(_Settling):
    def wrong(self, before: Message, after: Message) -> Message:
        return with_changes(after, died_at=after.died_at and after.next_attempt_at)


class ForgetsOfWhatItDied(_Settling):
    def wrong(self, before: Message, after: Message) -> Message:
        return with_changes(after, error_class=None)


class AllDieAlike(Model):
    def _settle(self, entry: Entry, settlement: Settlement | None) -> None:
        super()._settle(entry, settlement)
        for each in self.of_state(State.DEAD):
            name = entry.message.error_class
            each.message = with_changes(each.message, error_class=name)


class OccurrencesForgetTheirDeath(Model):
    def _bury_occurrence(self, entry: Entry, settlement: Bury) -> None:
        super()._bury_occurrence(entry, attrs.evolve(settlement, error_class=None))


class ReplayedOnesHaveDied(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        before = self.entries.get(id)
        found = super().reschedule(id, at, of_state)
        if before is not None and found is of_state:
            entry, died = self.entries[id], before.message
            entry.message = with_changes(
                entry.message, died_at=died.died_at, error_class=died.error_class
            )
        return found


class NewOnesHaveDied(Model):
    """What is known of a death is kept by id alone."""

    def __init__(self, now: datetime) -> None:
        super().__init__(now)
        self.deaths: dict[str, tuple[Any, Any]] = {}

    def _settle(self, entry: Entry, settlement: Settlement | None) -> None:
        super()._settle(entry, settlement)
        dead = entry.message
        if dead.state is State.DEAD:
            self.deaths[dead.id] = dead.died_at, dead.error_class

    def _add(self, message: Message, due: datetime, **more: Any) -> None:
        died_at, error_class = self.deaths.get(message.id, (message.died_at, message.error_class))
        super()._add(with_changes(message, died_at=died_at, error_class=error_class), due, **more)


class ForgetsPostponements(_Settling):
    def wrong(self, before: Message, after: Message) -> Message:
        return with_changes(after, postpone_count=0)


class ForgetsTheMark(_Settling):
    def wrong(self, before: Message, after: Message) -> Message:
        return with_changes(after, _put_back=False)


class PostponedForGood(_Settling):
    def wrong(self, before: Message, after: Message) -> Message:
        return with_changes(after, postpone_count=max(before.postpone_count, after.postpone_count))


class MovedOnesWerePostponed(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        before = self.entries.get(id)
        found = super().reschedule(id, at, of_state)
        if before is not None and found is of_state:
            count = before.message.postpone_count
            self.entries[id].message = with_changes(self.entries[id].message, postpone_count=count)
        return found


class _Storing(Model):
    """What goes wrong with a message that is stored as it is."""

    def wrong(self, message: Message) -> Message:
        raise NotImplementedError

    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        given = [self.wrong(each) for each in messages] if as_is else messages
        return super().put(given, replace=replace, as_is=as_is)


class AsIsIsAsNew(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        return super().put(messages, replace=replace)


class NewIsAsIs(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        return super().put(messages, replace=replace, as_is=True)


class TheDeadRise(_Storing):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, state=State.SCHEDULED)


class TheDeadDieAnew(_Storing):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, died_at=message.died_at and self.now)


class PlacesAreLost(_Storing):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, next_attempt_at=message.scheduled_at)


class NamesAreLost(_Storing):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, _delivery_id=None)


class CreationsAreLost(_Storing):
    def wrong(self, message: Message) -> Message:
        return with_changes(message, created_at=message.created_at + timedelta(seconds=1))


class ClaimedOnesStayClaimed(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        stored = super().put(messages, replace=replace, as_is=as_is)
        for each in messages:
            if as_is and each.state is State.CLAIMED:
                self.entries[each.id].message = each
        return stored


class _Telling(PlainStore):
    """What goes wrong with whereabouts."""

    def wrong(self, found: Whereabouts) -> Whereabouts:
        raise NotImplementedError

    async def where(self, id: str) -> Whereabouts | None:
        found = await super().where(id)
        return None if found is None else self.wrong(found)


class KnowsNoOwner(_Telling):
    def wrong(self, found: Whereabouts) -> Whereabouts:
        return attrs.evolve(found, owner=None)


class LapsedIsScheduled(_Telling):
    def wrong(self, found: Whereabouts) -> Whereabouts:
        over = found.lease_ends_at is not None and found.lease_ends_at <= self.now()
        return attrs.evolve(found, state=State.SCHEDULED) if over else found


class ClaimedOnesStandInLine(_Telling):
    def wrong(self, found: Whereabouts) -> Whereabouts:
        return attrs.evolve(found, due_at=found.due_at or self.now())


class CountsNoLapses(_Telling):
    def wrong(self, found: Whereabouts) -> Whereabouts:
        return attrs.evolve(found, lapses=0)


class KnowsTheFirstEnd(_Telling):
    ends: dict[str, datetime]

    async def where(self, id: str) -> Whereabouts | None:
        found = await PlainStore.where(self, id)
        if found is None or found.lease_ends_at is None:
            return found
        for lease in self.model.leases:
            lease.end = min(lease.end, self.now() + timedelta(minutes=1))
        return await PlainStore.where(self, id)


class AskingRecovers(_Telling):
    async def where(self, id: str) -> Whereabouts | None:
        self.model.recover()
        return await PlainStore.where(self, id)


class LooksTwice(_Telling):
    """First at the message, then at its lease."""

    async def where(self, id: str) -> Whereabouts | None:
        before = await PlainStore.where(self, id)
        await asyncio.sleep(0)
        after = await PlainStore.where(self, id)
        if before is None or after is None:
            return before
        return attrs.evolve(before, owner=after.owner, lease_ends_at=after.lease_ends_at)

    async def settle(self, settles: Any) -> Any:
        await asyncio.sleep(0)  # others may look in between
        return await super().settle(settles)


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    ForgetsWhenItDied: "test_a_dead_letter_tells_when_and_of_what_it_died",
    DiesWhenItWasDue: "test_a_dead_letter_tells_when_and_of_what_it_died",
    ForgetsOfWhatItDied: "test_a_dead_letter_tells_when_and_of_what_it_died",
    AllDieAlike: "test_each_dead_letter_of_a_list_tells_its_own",
    OccurrencesForgetTheirDeath: "test_a_buried_occurrence_tells_too",
    ReplayedOnesHaveDied: "test_a_replay_forgets_the_death",
    NewOnesHaveDied: "test_a_new_message_of_its_id_knows_nothing_of_it",
    ForgetsPostponements: "test_they_are_kept",
    ForgetsTheMark: "test_they_are_kept",
    PostponedForGood: "test_later_counters_forget_them",
    MovedOnesWerePostponed: "test_to_move_it_forgets_them",
    AsIsIsAsNew: "test_a_retried_message_keeps_its_place_and_counters",
    NewIsAsIs: "test_what_is_stored_as_ever_is_as_new",
    TheDeadRise: "test_a_dead_letter_stays_dead",
    TheDeadDieAnew: "test_a_dead_letter_stays_dead",
    PlacesAreLost: "test_a_retried_message_keeps_its_place_and_counters",
    NamesAreLost: "test_a_buried_occurrence_keeps_its_delivery_id",
    CreationsAreLost: "test_one_that_was_renamed_keeps_its_names",
    ClaimedOnesStayClaimed: "test_a_claimed_one_is_scheduled",
    KnowsNoOwner: "test_where_one_is_claimed",
    LapsedIsScheduled: "test_where_one_is_whose_lease_has_lapsed",
    ClaimedOnesStandInLine: "test_where_one_is_claimed",
    CountsNoLapses: "test_where_a_suspect_is",
    KnowsTheFirstEnd: "test_where_tells_of_a_renewal",
    LooksTwice: "test_where_one_is_is_told_of_one_moment",
    AskingRecovers: "test_where_one_is_whose_lease_has_lapsed",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
