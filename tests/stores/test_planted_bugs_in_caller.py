"""Bugs in what the caller's verbs do, and the cases that catch them."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from duly.message import Filter, Message, State
from duly.store import Stats
from duly.testing.stores.model import Model
from duly.testing.stores.plain import PlainStore

MICROSECOND = timedelta(microseconds=1)


class CancelKeepsWhatIsClaimed(Model):
    def cancel(self, id: str, of_state: State | None) -> State | None:
        entry = self.entries.get(id)
        if entry is not None and entry.message.state is State.CLAIMED:
            return State.CLAIMED
        return super().cancel(id, of_state)


class LapsedOnesAreCalledScheduled(Model):
    def cancel(self, id: str, of_state: State | None) -> State | None:
        self.recover()
        return super().cancel(id, of_state)


class CancelsInAnyState(Model):
    def cancel(self, id: str, of_state: State | None) -> State | None:
        return super().cancel(id, None)


class MovesInAnyState(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        entry = self.entries.get(id)
        return None if entry is None else super().reschedule(id, at, entry.message.state)


class NoTimeIsNow(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        return super().reschedule(id, at or self.now + MICROSECOND, of_state)


class MovedOnesKeepLapses(Model):
    def reschedule(self, id: str, at: datetime | None, of_state: State) -> State | None:
        before = self.entries.get(id)
        state = super().reschedule(id, at, of_state)
        if before is not None:
            self.entries[id].lapses = before.lapses
        return state


class StoresHalfAGroup(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        return all(Model.put(self, [each], replace=replace, as_is=as_is) for each in messages)


class FailsNeighbours(PlainStore):
    async def put(self, groups: Any, **more: Any) -> Any:
        outcomes = await super().put(groups, **more)
        return [max(outcomes, key=str)] * len(outcomes)


class ReplacesUnasked(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        return super().put(messages, replace=True, as_is=as_is)


class RepeatsAreDuplicates(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        taken = any(each.id in self.entries for each in messages)
        return (replace or not taken) and super().put(messages, replace=replace, as_is=as_is)


class ARepeatExcusesItsGroup(Model):
    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        stored = [self.entries.get(each.id) for each in messages]
        repeated = [
            old is not None and old.message.created_at == new.created_at
            for old, new in zip(stored, messages, strict=True)
        ]
        return any(repeated) or super().put(messages, replace=replace, as_is=as_is)


class ReplacesUnderTheSameDeliveryId(Model):
    def _newer(self, message: Message, replaced: Message) -> Message:
        return message


class ReplacesWithoutWithdrawing(Model):
    """The old holder's settle then ends the new message."""

    def put(self, messages: Sequence[Message], *, replace: bool, as_is: bool = False) -> bool:
        held = {each.id: self.entries.get(each.id) for each in messages}
        stored = super().put(messages, replace=replace, as_is=as_is)
        for lease in self.leases:
            for entry in [each for each in lease.withdrawn if each in held.values()]:
                lease.withdrawn.remove(entry)
                lease.held.append(entry)
        return stored


class _Listing(Model):
    """What goes wrong with a filter."""

    def wrong(self, filter: Filter, from_key: Any) -> tuple[Filter, Any]:
        raise NotImplementedError

    def list(self, filter: Filter, from_key: Any) -> Sequence[Message]:
        return super().list(*self.wrong(filter, from_key))


class OffsetIsIgnored(_Listing):
    def wrong(self, filter: Filter, from_key: Any) -> tuple[Filter, Any]:
        return attrs.evolve(filter, offset=0), from_key


class ListsATuple(Model):
    def list(self, filter: Filter, from_key: Any) -> Sequence[Message]:
        return tuple(super().list(filter, from_key))


class OverflowsAtTheBounds(Model):
    """The end of a page is no index any more."""

    def list(self, filter: Filter, from_key: Any) -> Sequence[Message]:
        every = super().list(attrs.evolve(filter, limit=None, offset=0), from_key)
        end = None if filter.limit is None else filter.offset + filter.limit
        return list(itertools.islice(every, filter.offset, end))


class BeforeIsExclusive(_Listing):
    def wrong(self, filter: Filter, from_key: Any) -> tuple[Filter, Any]:
        before = filter.before and filter.before - MICROSECOND
        return attrs.evolve(filter, before=before), from_key


class PagesOverlap(_Listing):
    def wrong(self, filter: Filter, from_key: Any) -> tuple[Filter, Any]:
        return filter, from_key and (from_key[0], from_key[1][:-1])


class PagesByTimeAlone(_Listing):
    def wrong(self, filter: Filter, from_key: Any) -> tuple[Filter, Any]:
        return filter, from_key and (from_key[0], "\U0010ffff")


class SeesTheFirstOfEachName(Model):
    """On a page of a list of all names, as if none had several of the next messages."""

    def list(self, filter: Filter, from_key: Any) -> Sequence[Message]:
        found = super().list(attrs.evolve(filter, limit=None), from_key)
        if filter.limit is None or filter.event_name is not None:
            return found[: filter.limit]
        firsts = {each.event_name: each for each in reversed(found)}
        return [each for each in found if firsts[each.event_name] is each][: filter.limit]


class ListsById(Model):
    def list(self, filter: Filter, from_key: Any) -> Sequence[Message]:
        return sorted(super().list(filter, from_key), key=lambda each: each.id)


class ListsByUtf16(Model):
    def list(self, filter: Filter, from_key: Any) -> Sequence[Message]:
        found = super().list(filter, from_key)
        return sorted(found, key=lambda each: (each.scheduled_at, each.id.encode("utf-16-be")))


class ListsByDueTime(Model):
    def list(self, filter: Filter, from_key: Any) -> Sequence[Message]:
        found = super().list(filter, from_key)
        return sorted(found, key=lambda each: (each.next_attempt_at, each.id))


class SendsPayloadsUnasked(PlainStore):
    async def list(self, filter: Filter, **more: Any) -> Any:
        return await super().list(filter, **{**more, "payload": True})


class ForgetsTheBoundsWithoutPayloads(PlainStore):
    async def list(self, filter: Filter, **more: Any) -> Any:
        return await super().list(filter if more.get("payload", True) else Filter(), **more)


class CountsThatGoStale(Model):
    def stats(self) -> Stats:
        return attrs.evolve(
            super().stats(),
            claimed=sum(len(each.held) for each in self.leases)
            + sum(len(each.withdrawn) for each in self.leases),
        )


class DueIsStillToCome(Model):
    def stats(self) -> Stats:
        self.now -= MICROSECOND
        return super().stats()


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    CancelKeepsWhatIsClaimed: "test_cancel_in_each_state",
    LapsedOnesAreCalledScheduled: "test_cancel_in_each_state",
    CancelsInAnyState: "test_cancel_of_a_state",
    MovesInAnyState: "test_reschedule_in_each_state",
    NoTimeIsNow: "test_no_time_keeps_the_time",
    MovedOnesKeepLapses: "test_lapses_are_forgotten",
    StoresHalfAGroup: "test_a_group_is_all_or_none",
    FailsNeighbours: "test_groups_do_not_fail_their_neighbours",
    ReplacesUnasked: "test_put_in_each_state",
    RepeatsAreDuplicates: "test_a_repeat_after_a_lost_answer",
    ARepeatExcusesItsGroup: "test_a_repeat_does_not_excuse_a_duplicate",
    ReplacesUnderTheSameDeliveryId: "test_an_older_replacement_gets_a_new_delivery_id",
    ReplacesWithoutWithdrawing: "test_replace_at_any_point",
    OffsetIsIgnored: "test_limit_and_offset",
    ListsATuple: "test_it_is_a_list",
    OverflowsAtTheBounds: "test_limit_and_offset",
    BeforeIsExclusive: "test_bounds_are_inclusive",
    PagesOverlap: "test_pages_bring_each_once",
    SeesTheFirstOfEachName: "test_pages_over_many_names",
    PagesByTimeAlone: "test_every_combination",
    ListsById: "test_by_scheduled_time_then_id",
    ListsByUtf16: "test_ids_by_code_point",
    ListsByDueTime: "test_a_retry_stays_where_it_was_scheduled",
    SendsPayloadsUnasked: "test_without_payloads_the_rest_is_as_ever",
    ForgetsTheBoundsWithoutPayloads: "test_without_payloads_in_each_state",
    CountsThatGoStale: "test_stats_through_a_life",
    DueIsStillToCome: "test_stats_at_the_very_moment",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
