"""Bugs in what a store says of what is due, by event name, each caught by a case."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from duly.message import State
from duly.store import Overdue, OverdueName
from duly.testing.stores.plain import PlainStore


class _Other(PlainStore):
    """Looks, and then says something else."""

    def told(self, found: Overdue) -> Overdue:
        return found

    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        return self.told(await super().overdue(before, look_at=look_at))

    def and_of(self, found: Overdue, more: Mapping[str, int]) -> Overdue:
        """With more of some names in line."""
        known = {each.name: each for each in found.names}
        for name, number in more.items():
            each = known.get(name, OverdueName(name=name, in_line=0, oldest=self.now()))
            known[name] = attrs.evolve(each, in_line=each.in_line + number)
        return attrs.evolve(found, names=[each for each in known.values() if each.in_line > 0])


class BeforeIsExclusive(_Other):
    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        return await super().overdue(before - timedelta(microseconds=1), look_at=look_at)


class AllThatWaitsIsDue(_Other):
    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        return await super().overdue(before + timedelta(days=1), look_at=look_at)


class WhatIsInHandIsDue(_Other):
    def told(self, found: Overdue) -> Overdue:
        claimed = self.model.of_state(State.CLAIMED)
        return self.and_of(found, {each.message.event_name: 1 for each in claimed})


class SuspectsAreForgotten(_Other):
    def told(self, found: Overdue) -> Overdue:
        suspects = [each for each in self.model.of_state(State.SCHEDULED) if each.suspect]
        return self.and_of(found, {each.message.event_name: -1 for each in suspects})


class WhatStandsAsideIsInLine(_Other):
    def told(self, found: Overdue) -> Overdue:
        return self.and_of(found, {each.message.event_name: 1 for each in self.model.aside()})


class NothingStandsAside(_Other):
    def told(self, found: Overdue) -> Overdue:
        names = [attrs.evolve(each, aside=False) for each in found.names]
        return attrs.evolve(found, names=names)


class OldestBySchedule(_Other):
    """By when a message was first due, not by where it waits."""

    def told(self, found: Overdue) -> Overdue:
        waiting = self.model.of_state(State.SCHEDULED)
        first = {each.message.event_name: each.message.scheduled_at for each in waiting}
        names = [attrs.evolve(each, oldest=first[each.name]) for each in found.names]
        return attrs.evolve(found, names=names)


class LooksAtAll(_Other):
    async def overdue(self, before: datetime, *, look_at: int) -> Overdue:
        return await super().overdue(before, look_at=look_at + 9)


class SaysItIsAll(_Other):
    def told(self, found: Overdue) -> Overdue:
        return attrs.evolve(found, complete=True)


CAUGHT_BY: dict[type[PlainStore], str] = {
    BeforeIsExclusive: "test_overdue_is_up_to_the_moment_asked_for",
    AllThatWaitsIsDue: "test_nothing_is_overdue",
    WhatIsInHandIsDue: "test_what_is_in_hand_or_dead_is_not_overdue",
    SuspectsAreForgotten: "test_suspects_are_overdue",
    WhatStandsAsideIsInLine: "test_what_stands_aside_is_not_in_line",
    NothingStandsAside: "test_what_stands_aside_is_not_in_line",
    OldestBySchedule: "test_overdue_by_where_it_waits",
    LooksAtAll: "test_what_is_looked_at_is_bounded_and_the_earliest",
    SaysItIsAll: "test_what_is_looked_at_is_bounded_and_the_earliest",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_in_what_is_overdue_is_caught(
    assert_caught: Any, bug: type[PlainStore]
) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
