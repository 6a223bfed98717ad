"""Bugs in what a store counts of what is to come, and by event name, each caught by a case."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from duly.message import State
from duly.store import Due, DueCounts, NameStats, Recurring
from duly.testing.stores.plain import PlainStore

_TICK = timedelta(microseconds=1)


class _OtherCounts(PlainStore):
    """Counts, and then says something else."""

    def told(self, counts: DueCounts) -> DueCounts:
        return counts

    def asked(self, bounds: Sequence[datetime]) -> Sequence[datetime]:
        return bounds

    async def due_counts(self, bounds: Sequence[datetime], *, most: int, look_at: int) -> DueCounts:
        asked = self.asked(bounds)
        return self.told(await super().due_counts(asked, most=most, look_at=look_at))


class BoundsAreExclusive(_OtherCounts):
    def asked(self, bounds: Sequence[datetime]) -> Sequence[datetime]:
        return [each - _TICK for each in bounds]


class EachSpanHasAllBefore(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        summed = [sum(counts.in_line[: n + 1]) for n in range(len(counts.in_line))]
        return attrs.evolve(counts, in_line=summed)


class CountsBySchedule(_OtherCounts):
    """By when a message was first due, not by where it waits."""

    def told(self, counts: DueCounts) -> DueCounts:
        for entry in self.model.entries.values():
            if entry.message.scheduled_at != entry.due and entry.message.state is State.SCHEDULED:
                moved = [sum(counts.in_line), *[0] * (len(counts.in_line) - 1)]
                return attrs.evolve(counts, in_line=moved)
        return counts


class CountsWhatIsInHand(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        claimed = [*self.model.of_state(State.CLAIMED)]
        return attrs.evolve(counts, in_line=[counts.in_line[0] + len(claimed), *counts.in_line[1:]])


class SuspectsAreForgotten(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        suspects = sum(each.suspect for each in self.model.of_state(State.SCHEDULED))
        return attrs.evolve(counts, in_line=[counts.in_line[0] - suspects, *counts.in_line[1:]])


class WhatStandsAsideIsInLine(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        in_line = [counts.in_line[0] + counts.aside, *counts.in_line[1:]]
        return attrs.evolve(counts, in_line=in_line, aside=0)


class RetriesOfSeriesAreRetries(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        retried = sum(each.message.retry_count > 0 for each in counts.series)
        return attrs.evolve(counts, retries=[(each and retried) or each for each in counts.in_line])


class SaysItIsAll(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        return attrs.evolve(counts, complete=True)


class ForgetsSeriesInHand(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        return attrs.evolve(counts, series=[each for each in counts.series if each.due_at])


class FindsOnlySeriesThatAreDueInTime(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        limit = self.now() + timedelta(days=1)
        soon = [each for each in counts.series if each.due_at is None or each.due_at < limit]
        return attrs.evolve(counts, series=soon)


class RemembersSeries(_OtherCounts):
    """What was a series once is one for ever."""

    seen: dict[str, Recurring]

    def told(self, counts: DueCounts) -> DueCounts:
        self.seen = getattr(self, "seen", {}) | {each.message.id: each for each in counts.series}
        return attrs.evolve(counts, series=[*self.seen.values()])

    async def cancel(self, ids: Sequence[str], **more: Any) -> Any:
        await self.due_counts([self.now()], most=9, look_at=9)
        return await super().cancel(ids, **more)


class ForgetsWhatFollows(_OtherCounts):
    def told(self, counts: DueCounts) -> DueCounts:
        series = [attrs.evolve(each, follows=None) for each in counts.series]
        return attrs.evolve(counts, series=series)


class _OtherDue(PlainStore):
    """Finds what is due, and then says something else."""

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        found = await super().due_between(*self.between(since, until), limit=10_000)
        return self.of(found)[:limit]

    def between(self, since: datetime, until: datetime) -> tuple[datetime, datetime]:
        return since, until

    def of(self, found: Sequence[Due]) -> Sequence[Due]:
        return found


class BeginsBehindSince(_OtherDue):
    def between(self, since: datetime, until: datetime) -> tuple[datetime, datetime]:
        return since + _TICK, until


class EndsBeforeUntil(_OtherDue):
    def between(self, since: datetime, until: datetime) -> tuple[datetime, datetime]:
        return since, until - _TICK


class SaysWhenItWasScheduled(_OtherDue):
    """It looks for that, too."""

    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        waiting = await super().due_between(
            since - timedelta(days=9), until + timedelta(days=9), limit=limit
        )
        return [each for each in waiting if since <= each.message.scheduled_at <= until]


class SuspectsComeLast(_OtherDue):
    def of(self, found: Sequence[Due]) -> Sequence[Due]:
        return sorted(found, key=lambda each: self.model.entries[each.message.id].suspect)


class SortsById(_OtherDue):
    def of(self, found: Sequence[Due]) -> Sequence[Due]:
        return sorted(found, key=lambda each: each.message.id)


class FindsWhatStandsAside(_OtherDue):
    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        found = await super().due_between(since, until, limit=limit)
        aside = [Due(message=each.message, due_at=each.due) for each in self.model.aside()]
        return [*aside, *found]


class FindsWhatIsInHand(_OtherDue):
    async def due_between(self, since: datetime, until: datetime, *, limit: int) -> Sequence[Due]:
        found = await super().due_between(since, until, limit=limit)
        held = self.model.of_state(State.CLAIMED)
        return [*(Due(message=each.message, due_at=each.due) for each in held), *found]


class LeavesSeriesOut(_OtherDue):
    def of(self, found: Sequence[Due]) -> Sequence[Due]:
        return [each for each in found if each.message.recurrence is None]


class _OtherNames(PlainStore):
    """Looks names up, and then says something else."""

    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        return found

    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        return self.told(await super().names(after=after, limit=limit, most=most))


class SortsWithoutCase(_OtherNames):
    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        return sorted(found, key=lambda each: each.name.lower())


class BeginsWithTheOneBefore(_OtherNames):
    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        found = await super().names(after=None, limit=1000, most=most)
        return [each for each in found if after is None or each.name >= after][:limit]


class MissesOneAtEachPage(_OtherNames):
    async def names(self, *, after: str | None, limit: int, most: int) -> Sequence[NameStats]:
        found = await super().names(after=after, limit=limit + 1, most=most)
        return found[1:] if after is not None and len(found) > 1 else found[:limit]


class WhatIsClaimedIsScheduled(_OtherNames):
    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        return [
            attrs.evolve(each, scheduled=each.scheduled + each.claimed, claimed=0) for each in found
        ]


class AllThatIsScheduledIsDue(_OtherNames):
    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        return [attrs.evolve(each, due=each.scheduled) for each in found]


class OldestIsByTheMainLineAlone(_OtherNames):
    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        return [attrs.evolve(each, oldest=None) if each.aside else each for each in found]


class AsideIsNotDue(_OtherNames):
    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        return [attrs.evolve(each, due=each.due - each.aside) for each in found]


class KeepsNamesForEver(_OtherNames):
    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        known = {each.name for each in found}
        gone = [NameStats(name=name) for name in ("cancelled", "delivered") if name not in known]
        return sorted([*found, *gone], key=lambda each: each.name) if "kept" in known else found


class StopsWithoutAWord(_OtherNames):
    def told(self, found: Sequence[NameStats]) -> Sequence[NameStats]:
        return [attrs.evolve(each, at_least=False) for each in found]


CAUGHT_BY: dict[type[PlainStore], str] = {
    BoundsAreExclusive: "test_what_waits_is_counted_by_when_it_is_due",
    EachSpanHasAllBefore: "test_what_waits_is_counted_by_when_it_is_due",
    CountsBySchedule: "test_what_is_put_back_counts_where_it_waits",
    CountsWhatIsInHand: "test_what_is_in_hand_or_dead_is_not_counted",
    SuspectsAreForgotten: "test_suspects_are_counted",
    WhatStandsAsideIsInLine: "test_what_stands_aside_is_counted_apart",
    RetriesOfSeriesAreRetries: "test_a_retry_of_a_series_is_a_series",
    SaysItIsAll: "test_counts_and_looks_are_bounded",
    ForgetsSeriesInHand: "test_series_are_found_wherever_they_are",
    FindsOnlySeriesThatAreDueInTime: "test_series_are_found_wherever_they_are",
    RemembersSeries: "test_series_that_are_gone_are_not_found",
    ForgetsWhatFollows: "test_series_that_are_declared_again",
    BeginsBehindSince: "test_both_bounds_are_among_what_is_due_between_them",
    EndsBeforeUntil: "test_both_bounds_are_among_what_is_due_between_them",
    SaysWhenItWasScheduled: "test_what_is_put_back_is_due_where_it_waits",
    SuspectsComeLast: "test_suspects_are_due_between_others",
    SortsById: "test_both_bounds_are_among_what_is_due_between_them",
    FindsWhatStandsAside: "test_what_stands_aside_is_not_due_between",
    FindsWhatIsInHand: "test_what_is_in_hand_or_dead_is_not_due_between",
    LeavesSeriesOut: "test_series_are_due_between_by_their_next_fires",
    SortsWithoutCase: "test_names_come_by_code_point",
    BeginsWithTheOneBefore: "test_names_behind_one",
    MissesOneAtEachPage: "test_names_come_by_code_point",
    WhatIsClaimedIsScheduled: "test_counts_of_each_state",
    AllThatIsScheduledIsDue: "test_due_is_what_can_be_claimed",
    OldestIsByTheMainLineAlone: "test_what_stands_aside_is_due_too",
    AsideIsNotDue: "test_what_stands_aside_is_due_too",
    KeepsNamesForEver: "test_a_name_goes_with_its_last_message",
    StopsWithoutAWord: "test_counts_stop_and_say_so",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_in_looking_ahead_is_caught(assert_caught: Any, bug: type[PlainStore]) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
