"""Bugs in what a claim is asked for, and in what is seen and made of what stands aside."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs
import pytest

from duly.errors import InvalidArgument
from duly.message import State, with_changes
from duly.store import NO_LIMITS, PAUSED, Batch, EnsurePlan, Rooms, Stats, Whereabouts
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry
from duly.testing.stores.plain import PlainStore


class _OtherRooms(PlainStore):
    """Understands ``most`` in a way of its own."""

    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        raise NotImplementedError

    async def claim(self, *, most: Mapping[str, int] = NO_LIMITS, **more: Any) -> Batch:
        return await super().claim(most=self.understood(most), **more)


class ThePrefixComesFirst(_OtherRooms):
    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        prefixes = [each for each in most if each.endswith(".*")]
        return {
            key: number
            for key, number in most.items()
            if key in prefixes or not any(key.startswith(each[:-1]) for each in prefixes)
        }


class TheShorterPrefixComesFirst(_OtherRooms):
    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        prefixes = [each[:-1] for each in most if each.endswith("*")]
        return {
            key: number
            for key, number in most.items()
            if not any(key != f"{each}*" and key.startswith(each) for each in prefixes)
        }


class EachOfAPrefixHasItsNumber(_OtherRooms):
    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        rooms = Rooms(most)
        names = {each.message.event_name for each in self.model.entries.values()}
        return {name: left for name in names if (left := rooms.left(name)) is not None} or most


class APrefixNeedsNoDot(_OtherRooms):
    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        names = {each.message.event_name for each in self.model.entries.values()}
        stems = {each[:-2]: number for each, number in most.items() if each.endswith(".*")}
        extra = {
            name: number
            for name in names
            for stem, number in stems.items()
            if name.startswith(stem)
        }
        return extra | dict(most)


class KnowsNotEverything(_OtherRooms):
    """A star alone is no prefix to it."""

    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        return {key: number for key, number in most.items() if key != "*"}


class PausedIsZero(_OtherRooms):
    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        return {key: max(number, 0) for key, number in most.items()}


class SettlesBeforeItRefuses(PlainStore):
    async def claim(self, *, most: Mapping[str, int] = NO_LIMITS, **more: Any) -> Batch:
        try:
            Rooms(most)
        except InvalidArgument:
            await self.settle(more.get("settle", ()))
            raise
        return await super().claim(most=most, **more)


class TakesWhateverItIsGiven(_OtherRooms):
    def understood(self, most: Mapping[str, int]) -> Mapping[str, int]:
        return {key: max(PAUSED, number) for key, number in list(most.items())[:50]}


class MovesWhatIsNotDue(Model):
    def look_past(self, limit: int, rooms: Rooms) -> Sequence[Entry]:
        passed = super().look_past(limit, rooms)
        for entry in self._waiting(suspects=False):
            entry.aside = entry.due > self.now and self.has_to_wait(entry, rooms)
        return passed


class PutBackItStandsAside(Model):
    def _stand(self, entry: Entry, due: datetime) -> None:
        super()._stand(entry, due)
        name = entry.message.event_name
        entry.aside = due <= self.now and bool(self.siding(name))


class MovedItStandsAside(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        before = self.entries.get(id)
        found = super().reschedule(id, at, of_state)
        if before is not None and found is of_state:
            self.entries[id].aside = before.aside
        return found


class ReplacedItStandsAside(Model):
    def put(self, messages: Any, *, replace: bool, as_is: bool = False) -> bool:
        aside = {each.message.id for each in self.aside()}
        stored = super().put(messages, replace=replace, as_is=as_is)
        for each in self.entries.values():
            each.aside = each.aside or (each.message.id in aside)
        return stored


class DeclaredItLeavesItsSiding(Model):
    def _carry_out(self, entry: Entry | None, plan: EnsurePlan) -> None:
        super()._carry_out(entry, plan)
        if entry is not None and plan.stored is not None:
            entry.aside = False


class RenamedItStaysInItsSiding(Model):
    def _carry_out(self, entry: Entry | None, plan: EnsurePlan) -> None:
        aside = entry is not None and entry.aside
        super()._carry_out(entry, plan)
        if entry is not None and not plan.moves:
            entry.aside = aside


class ComesFromASidingWithALapse(Model):
    def hand_out(self, entry: Entry, rooms: Rooms) -> None:
        entry.lapses += entry.aside
        super().hand_out(entry, rooms)


class AsideItIsDueWhenItWasMoved(Model):
    def look_past(self, limit: int, rooms: Rooms) -> Sequence[Entry]:
        passed = super().look_past(limit, rooms)
        for entry in passed:
            if entry.aside:
                entry.due = self.now
                entry.message = with_changes(entry.message, next_attempt_at=self.now)
        return passed


class StatsForgetSidings(Model):
    def stats(self) -> Stats:
        stats = super().stats()
        return attrs.evolve(stats, scheduled=stats.scheduled - stats.aside)


class StatsMixTheLines(Model):
    def stats(self) -> Stats:
        stats = super().stats()
        return attrs.evolve(stats, oldest_due=stats.oldest_due or stats.oldest_aside)


class WhereForgetsSidings(PlainStore):
    async def where(self, id: str) -> Whereabouts | None:
        found = await super().where(id)
        return None if found is None else attrs.evolve(found, aside=False)


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    ThePrefixComesFirst: "test_most_in_the_main_line",
    TheShorterPrefixComesFirst: "test_most_in_the_main_line",
    EachOfAPrefixHasItsNumber: "test_most_in_the_main_line",
    APrefixNeedsNoDot: "test_most_in_the_main_line",
    KnowsNotEverything: "test_most_in_the_main_line",
    PausedIsZero: "test_a_pause_holds_what_recurs",
    SettlesBeforeItRefuses: "test_what_is_refused_changes_nothing",
    TakesWhateverItIsGiven: "test_what_is_refused_changes_nothing",
    MovesWhatIsNotDue: "test_what_is_not_due_is_not_moved",
    PutBackItStandsAside: "test_what_is_settled_is_in_no_siding",
    MovedItStandsAside: "test_aside_it_is_moved",
    ReplacedItStandsAside: "test_aside_it_is_replaced",
    DeclaredItLeavesItsSiding: "test_ensure_another_payload_leaves_it_aside",
    RenamedItStaysInItsSiding: "test_ensure_another_name_of_what_is_due_before_its_fire",
    ComesFromASidingWithALapse: "test_what_comes_back_is_in_the_batch_at_its_place",
    AsideItIsDueWhenItWasMoved: "test_where_one_is_that_stands_aside",
    StatsForgetSidings: "test_what_has_no_room_is_moved_aside",
    StatsMixTheLines: "test_what_has_no_room_is_moved_aside",
    WhereForgetsSidings: "test_where_one_is_that_stands_aside",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_in_sidings_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
