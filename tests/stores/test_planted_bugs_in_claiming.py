"""Bugs in taking what is due, and the cases that catch them."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import attrs
import pytest

from duly.message import State
from duly.store import Batch, Claim
from duly.testing.stores.model import Model
from duly.testing.stores.model_entries import Entry, Lease
from duly.testing.stores.plain import PlainStore

MICROSECOND = timedelta(microseconds=1)


class ClaimsAMicrosecondEarly(Model):
    def due(self, *, suspects: bool) -> Sequence[Entry]:
        waiting = self._waiting(suspects=suspects)
        return [each for each in waiting if each.due <= self.now + MICROSECOND]


class ClaimsAMicrosecondLate(Model):
    def due(self, *, suspects: bool) -> Sequence[Entry]:
        return [each for each in self._waiting(suspects=suspects) if each.due < self.now]


class OwnClockRunsAhead(PlainStore):
    """Only the store's own time code is wrong, so that no hand clock can tell."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        ahead = timedelta(milliseconds=30) if self._clock is None else timedelta(0)
        return attrs.evolve(batch, now=batch.now - ahead)


class OwnLeasesAreInWholeSeconds(PlainStore):
    """As above."""

    async def claim(self, *, lease: timedelta, **more: Any) -> Batch:
        if self._clock is None:
            lease = timedelta(seconds=math.ceil(lease.total_seconds()))
        return await super().claim(lease=lease, **more)


class OrderOfMilliseconds(Model):
    def of_state(self, state: State) -> Iterator[Entry]:
        found = [each for each in self.entries.values() if each.message.state is state]
        yield from sorted(found, key=lambda each: (int(each.due.timestamp() * 1e3), each.number))


class EqualOnesById(Model):
    def of_state(self, state: State) -> Iterator[Entry]:
        found = super().of_state(state)
        yield from sorted(found, key=lambda each: (each.due, each.message.id))


class LimitIsOffByOne(Model):
    def take(self, limit: int, *, suspects: bool) -> Sequence[Entry]:
        return super().take(limit + 1, suspects=suspects)


class NeverMore(PlainStore):
    async def claim(self, **more: Any) -> Batch:
        return attrs.evolve(await super().claim(**more), more=False)


class WhatIsTakenIsMore(PlainStore):
    """As where rows that somebody has locked are counted."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        taken = any(self.model.of_state(State.CLAIMED))
        return attrs.evolve(batch, more=batch.more or (taken and not batch.claims))


class AwaitsWhatIsTaken(Model):
    def next_due(self, own: Lease | None, **more: Any) -> datetime | None:
        waiting = [*self.of_state(State.SCHEDULED), *self.of_state(State.CLAIMED)]
        return min((each.message.next_attempt_at for each in waiting), default=None)


class ForgetsOtherLeases(Model):
    def next_due(self, own: Lease | None, **more: Any) -> datetime | None:
        return min((each.due for each in self.of_state(State.SCHEDULED)), default=None)


class AwaitsItsOwnLease(Model):
    def next_due(self, own: Lease | None, **more: Any) -> datetime | None:
        return super().next_due(None, **more)


class AwaitsSuspects(Model):
    def next_due(self, own: Lease | None, **more: Any) -> datetime | None:
        return super().next_due(own, **more | {"suspects": True})


class SuspectsAreMore(PlainStore):
    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        return attrs.evolve(batch, more=bool(self.model.due(suspects=True)))


class SuspectsInCompany(Model):
    def take(self, limit: int, *, suspects: bool) -> Sequence[Entry]:
        return self.due(suspects=suspects)[:limit]


class SuspectsTakeRoom(Model):
    def take(self, limit: int, *, suspects: bool) -> Sequence[Entry]:
        first = self.due(suspects=suspects)[:limit]
        return [each for each in first if not each.suspect] or first[:1]


class LooksThenTakes(PlainStore):
    """Two steps where one is needed."""

    async def claim(self, *, limit: int, lease: timedelta, **more: Any) -> Batch:
        taken = self.model.take(limit, suspects=True)
        await asyncio.sleep(0)
        claimed = self.model.claim(taken, lease)
        if claimed is None:
            return await super().claim(limit=limit, lease=lease, **more)
        self._leases.append(claimed)
        claims = [Claim(each, each.message, each.lapses) for each in taken]
        return Batch(token=str(len(self._leases) - 1), claims=claims, now=self.now())


CAUGHT_BY: dict[type[Model] | type[PlainStore], str] = {
    ClaimsAMicrosecondEarly: "test_not_early_by_a_microsecond",
    ClaimsAMicrosecondLate: "test_the_past_is_due_at_once",
    OwnClockRunsAhead: "test_never_early",
    OwnLeasesAreInWholeSeconds: "test_a_lease_lapses_at_its_end",
    OrderOfMilliseconds: "test_two_close_to_each_other",
    EqualOnesById: "test_equal_ones_in_the_order_they_were_stored",
    LimitIsOffByOne: "test_no_more_than_asked_for",
    NeverMore: "test_no_more_than_asked_for",
    WhatIsTakenIsMore: "test_where_nothing_can_be_claimed_nothing_is_due",
    AwaitsWhatIsTaken: "test_where_nothing_can_be_claimed_nothing_is_due",
    ForgetsOtherLeases: "test_next_due_is_the_end_of_a_lease_of_others",
    AwaitsItsOwnLease: "test_next_due_leaves_the_own_lease_out",
    AwaitsSuspects: "test_without_suspects_none_is_awaited",
    SuspectsAreMore: "test_without_suspects",
    SuspectsInCompany: "test_a_suspect_is_claimed_alone",
    SuspectsTakeRoom: "test_suspects_take_no_room_in_a_batch",
    LooksThenTakes: "test_claims_do_not_overlap",
}


@pytest.mark.parametrize("bug", CAUGHT_BY)
async def test_a_bug_is_caught(assert_caught: Any, bug: type) -> None:
    await assert_caught(bug, CAUGHT_BY[bug])
