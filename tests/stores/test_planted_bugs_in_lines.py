"""Bugs in what a claim takes, moves and tells of lines, and the cases that catch them."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import pytest

from duly.message import State, with_changes
from duly.store import NO_LIMITS, Batch, Rooms
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry
from duly.testing.stores.plain import PlainStore


class TheFirstSidingGivesAll(Model):
    """So one that is filled as fast as it is drained starves all others."""

    def giving(self, rooms: Rooms) -> Sequence[str]:
        return sorted(super().giving(rooms))[:1]


class TheOldestSidingGivesFirst(Model):
    def giving(self, rooms: Rooms) -> Sequence[str]:
        return sorted(super().giving(rooms), key=lambda name: self.siding(name)[0].due)


class TheListOfSidingsIsCut(Model):
    """At a number, before it is asked whose turn it is."""

    def giving(self, rooms: Rooms) -> Sequence[str]:
        kept = sorted({each.message.event_name for each in self.aside()})[:64]
        return [each for each in super().giving(rooms) if each in kept]


class DrainsKnownNamesAlone(PlainStore):
    """Those that it is told of, or everything when it is told of none."""

    async def claim(self, *, most: Mapping[str, int] = NO_LIMITS, **more: Any) -> Batch:
        if most:
            most = dict.fromkeys(
                {each.message.event_name for each in self.model.aside()}, 0
            ) | dict(most)  # fmt: skip
        return await super().claim(most=most, **more)


class TurnsBeginAnew(Model):
    """With each claim."""

    def take_in_lines(self, *given: Any, **more: Any) -> tuple[Sequence[Entry], int]:
        self.visited = ""
        return super().take_in_lines(*given, **more)


class IsClaimedWhileItIsMoved(PlainStore):
    """One that stands aside is in neither line for those who look in the main line alone."""

    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        aside = {each.message.id for each in self.model.aside()}
        found = await super().cancel(ids, **more)
        return [
            State.CLAIMED if id in aside else state for id, state in zip(ids, found, strict=True)
        ]


class IsLostWhileItIsMoved(PlainStore):
    async def reschedule(self, id: str, *given: Any, **more: Any) -> State | None:
        if id in {each.message.id for each in self.model.aside()}:
            return State.CLAIMED
        return await super().reschedule(id, *given, **more)


class IsInNeitherLineForAMoment(PlainStore):
    """Two steps where one is needed."""

    async def claim(self, **more: Any) -> Batch:
        met = self.model.due(suspects=False)[:5]
        for each in met:
            each.message = with_changes(each.message, state=State.CLAIMED)
        await asyncio.sleep(0)
        for each in met:
            each.message = with_changes(each.message, state=State.SCHEDULED)
        return await super().claim(**more)


class LooksAtEverything(Model):
    def look_past(self, limit: int, rooms: Rooms) -> Sequence[Entry]:
        passed = list(super().look_past(limit, rooms))
        taken = sum(not each.aside for each in passed)
        while taken < limit and (more := super().look_past(limit - taken, rooms)):
            passed += more
            taken = sum(not each.aside for each in passed)
        return passed


class LooksAtAFewLess(Model):
    def look_past(self, limit: int, rooms: Rooms) -> Sequence[Entry]:
        passed: list[Entry] = []
        for entry in self._waiting(suspects=False)[:10]:
            if entry.due > self.now or len(passed) >= limit:
                break
            entry.aside = self.has_to_wait(entry, rooms)
            if not entry.aside:
                self.hand_out(entry, rooms)
            passed.append(entry)
        return passed


class PausedSuspectsStopEverybody(Model):
    """The first is looked at, and if that may not be had, none is."""

    def take_in_lines(
        self, limit: int, rooms: Rooms, *, suspects: bool
    ) -> tuple[Sequence[Entry], int]:
        due = [each for each in self._waiting(suspects=suspects) if each.due <= self.now]
        if due and due[0].suspect and rooms.passes_over(due[0].message.event_name):
            return [], 0
        return super().take_in_lines(limit, rooms, suspects=suspects)


class PausedSuspectsAreHandedOut(Model):
    def main(self, rooms: Rooms, *, suspects: bool) -> Sequence[Entry]:
        return self._waiting(suspects=suspects)


class PausedSuspectsAreMore(PlainStore):
    async def claim(self, *, suspects: bool = True, **more: Any) -> Batch:
        batch = await super().claim(suspects=suspects, **more)
        return attrs.evolve(batch, more=batch.more or bool(self.model.due(suspects=suspects)))


class PausedSuspectsAreAwaited(Model):
    def next_due(self, *given: Any, rooms: Rooms, **more: Any) -> datetime | None:
        return super().next_due(*given, rooms=Rooms({}), **more)


class SuspectsAreMoved(Model):
    def recover(self) -> None:
        super().recover()
        names = {each.message.event_name for each in self.aside()}
        for each in self._waiting(suspects=True):
            each.aside = each.suspect and each.message.event_name in names


class SuspectsAreFree(Model):
    def take_in_lines(
        self, limit: int, rooms: Rooms, *, suspects: bool
    ) -> tuple[Sequence[Entry], int]:
        taken, moved = super().take_in_lines(limit, rooms, suspects=suspects)
        if any(each.suspect for each in taken):
            rooms.hand_out(taken[0].message.event_name, -1)
        return taken, moved


class WhatRecursIsMoved(Model):
    def has_to_wait(self, entry: Entry, rooms: Rooms) -> bool:
        name = entry.message.event_name
        return rooms.left(name) == 0 or bool(self.siding(name))


class WhatRecursIsNeverMoved(Model):
    def has_to_wait(self, entry: Entry, rooms: Rooms) -> bool:
        return entry.message.recurrence is None and super().has_to_wait(entry, rooms)


class WhatRecursDoesNotCount(Model):
    def hand_out(self, entry: Entry, rooms: Rooms) -> None:
        super().hand_out(entry, rooms)
        if entry.message.recurrence is not None:
            rooms.hand_out(entry.message.event_name, -1)


class WhatIsMetOvertakesItsSiding(Model):
    """A name that has room again is handed out of the main line, beside its siding."""

    def has_to_wait(self, entry: Entry, rooms: Rooms) -> bool:
        recurs = entry.message.recurrence is not None
        name = entry.message.event_name
        return rooms.left(name) == 0 and rooms.may_wait(name, recurs=recurs)


class TheLastStandFirst(Model):
    def siding(self, name: str) -> Sequence[Entry]:
        return super().siding(name)[::-1]


class EqualOnesByTheirIds(Model):
    def siding(self, name: str) -> Sequence[Entry]:
        by_id = sorted(super().siding(name), key=lambda each: each.message.id, reverse=True)
        return sorted(by_id, key=lambda each: each.due)


class SidingsFirstInABatch(Model):
    def take_in_lines(self, *given: Any, **more: Any) -> tuple[Sequence[Entry], int]:
        aside = self.aside()
        taken, moved = super().take_in_lines(*given, **more)
        return sorted(taken, key=lambda each: each not in aside), moved


class TheMainLineTakesAll(Model):
    def half(self, limit: int) -> int:
        return 0


class SidingsTakeAll(Model):
    def half(self, limit: int) -> int:
        return limit


class OneAloneIsTheMainLines(Model):
    """Half of an odd number is always rounded down."""

    def half(self, limit: int) -> int:
        return limit // 2


class HalfIsLeftOver(Model):
    """What one side has not is not given to the other."""

    def pull(self, limit: int, rooms: Rooms) -> list[Entry]:
        self.pulled = not getattr(self, "pulled", False)
        return super().pull(limit, rooms) if self.pulled else []


class SidingsAreNotMore(Model):
    def more(self, rooms: Rooms, *, suspects: bool) -> bool:
        return any(each.due <= self.now for each in self.main(rooms, suspects=suspects))


class AllThatStandsAsideIsMore(PlainStore):
    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        return attrs.evolve(batch, more=batch.more or bool(self.model.aside()))


class TellsOfAnyThingAside(Model):
    def kept_back(self, rooms: Rooms) -> bool:
        return bool(self.aside())


class TellsOfNothingAside(Model):
    def kept_back(self, rooms: Rooms) -> bool:
        return False


class AwaitsWhatStandsAside(Model):
    def next_due(self, *given: Any, **more: Any) -> datetime | None:
        due = super().next_due(*given, **more)
        moments = [due, *(each.due for each in self.aside())]
        return min((each for each in moments if each is not None), default=None)


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    TheFirstSidingGivesAll: "test_one_that_is_filled_as_fast_starves_no_other",
    TheOldestSidingGivesFirst: "test_one_that_is_filled_as_fast_starves_no_other",
    TheListOfSidingsIsCut: "test_however_many_may_give_nothing_hide_no_other",
    DrainsKnownNamesAlone: "test_a_name_that_nobody_knows_has_its_turn",
    TurnsBeginAnew: "test_each_siding_has_its_turn",
    IsClaimedWhileItIsMoved: "test_cancel_against_moving_finds_them_scheduled",
    IsLostWhileItIsMoved: "test_reschedule_against_moving_finds_them_scheduled",
    IsInNeitherLineForAMoment: "test_cancel_against_moving_finds_them_scheduled",
    LooksAtEverything: "test_a_claim_looks_at_so_many",
    LooksAtAFewLess: "test_a_claim_looks_at_so_many",
    PausedSuspectsStopEverybody: "test_a_suspect_of_a_full_name_is_passed_over",
    PausedSuspectsAreHandedOut: "test_a_suspect_of_a_full_name_is_passed_over",
    PausedSuspectsAreMore: "test_a_suspect_of_a_full_name_is_passed_over",
    PausedSuspectsAreAwaited: "test_a_suspect_that_is_passed_over_is_not_awaited",
    SuspectsAreMoved: "test_no_suspect_is_moved",
    SuspectsAreFree: "test_a_suspect_counts",
    WhatRecursIsMoved: "test_what_recurs_is_handed_out_all_the_same",
    WhatRecursIsNeverMoved: "test_a_pause_holds_what_recurs",
    WhatRecursDoesNotCount: "test_what_recurs_counts",
    WhatIsMetOvertakesItsSiding: "test_what_is_met_of_a_name_with_a_siding_goes_there",
    TheLastStandFirst: "test_in_a_siding_order_is_kept",
    EqualOnesByTheirIds: "test_in_a_siding_order_is_kept",
    SidingsFirstInABatch: "test_a_batch_is_in_order_of_due_time",
    TheMainLineTakesAll: "test_half_and_half",
    SidingsTakeAll: "test_half_and_half",
    OneAloneIsTheMainLines: "test_half_and_half_one_by_one",
    HalfIsLeftOver: "test_what_one_leaves_the_other_has",
    SidingsAreNotMore: "test_more_while_a_siding_could_give",
    AllThatStandsAsideIsMore: "test_what_has_no_room_is_moved_aside",
    TellsOfAnyThingAside: "test_aside_tells_what_was_kept_back_and_nothing_else",
    TellsOfNothingAside: "test_aside_tells_what_was_kept_back_and_nothing_else",
    AwaitsWhatStandsAside: "test_next_due_says_nothing_of_sidings",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_in_lines_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
