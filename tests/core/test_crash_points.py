"""Every await a crash point: the harness, the stores that pass it, and stores that must not."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from duly.memory import MemoryStore
from duly.message import State
from duly.store import Batch, Clock, Settle
from duly.testing.crashes import (
    MakeStore,
    crash_at,
    crash_everywhere,
    crash_points,
    near_moves,
)
from duly.testing.story_of_lines import StoryOfLines
from duly_sqlite import SQLiteStore

SHARES = 2  # of the crash points on files, so that no test takes long


def memory(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


def files_in(folder: Path) -> MakeStore:
    numbers = itertools.count()
    return lambda clock: SQLiteStore(folder / f"{next(numbers)}.db", clock=clock)


def test_every_await_of_a_scheduler_on_memory_may_be_its_last():
    points = crash_everywhere(memory)
    cut = {tuple(point.split(": ")) for point in points}
    verbs = ("open", "put", "cancel", "reschedule", "claim", "settle and claim", "settle", "renew",
             "publish")  # fmt: skip
    for verb in verbs:
        assert {(verb, "not carried out"), (verb, "carried out, not answered")} <= cut
    assert len(points) > 100


class ClaimedAhead(MemoryStore):
    """Processes see it as a store that tells when a claim was answered."""

    claims_ahead = True


def test_every_await_of_a_scheduler_that_claims_ahead_may_be_its_last():
    points = crash_everywhere(lambda clock: ClaimedAhead(clock=clock))
    assert len(points) > 100


@pytest.mark.parametrize("share", range(SHARES))
def test_every_await_of_a_scheduler_on_files_may_be_its_last(tmp_path, share):
    make_store = files_in(tmp_path)
    points = crash_points(make_store)
    assert len(points) > 100
    for number in range(share, len(points), SHARES):
        crash_at(make_store, number)


@pytest.mark.timeout(300)
def test_what_stands_aside_outlives_any_scheduler_that_moved_it():
    points = crash_points(memory, StoryOfLines)
    near = near_moves(points)
    assert len(near) > 10
    for number in near:
        crash_at(memory, number, StoryOfLines)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_await_while_a_name_stands_aside_may_be_the_last(tmp_path):
    crash_everywhere(memory, StoryOfLines)
    crash_everywhere(files_in(tmp_path), StoryOfLines)


class LosesSidings(MemoryStore):
    """Forgets what stands aside of a name when a lease lapses that held some of it."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        for name in {each.message.event_name for each in batch.claims if each.lapses}:
            aside = self._ledger.lines.sidings._by_name.get(name, ())
            await super().cancel([entry.message.id for entry in list(aside)])
        return batch


@pytest.mark.timeout(300)
def test_a_store_that_loses_what_stood_aside_is_found_out():
    def make_store(clock: Clock) -> LosesSidings:
        return LosesSidings(clock=clock)

    near = near_moves(crash_points(make_store, StoryOfLines))
    with pytest.raises(AssertionError, match="R1: lost"):
        for number in near:
            crash_at(make_store, number, StoryOfLines)


def test_the_story_takes_the_same_course_each_time():
    assert crash_points(memory) == crash_points(memory)


class Early(MemoryStore):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=lambda: clock() + timedelta(microseconds=1))


class DeletesAtClaim(MemoryStore):
    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        if batch.token is not None and more["owner"] != "ghost":
            await super().settle([Settle(batch.token)])
        return batch


class NeverRecovers(MemoryStore):
    async def claim(self, *, lease: timedelta, **more: Any) -> Batch:
        return await super().claim(lease=timedelta(days=1), **more)


class CancelsNothing(MemoryStore):
    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        return [
            None if message is None else message.state
            for message in [await self.get(id) for id in ids]
        ]


class DeletesWhatLapsed(MemoryStore):
    """Where nobody dies all goes well, but for the one whose claimant is dead from the start."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        lapsed = [
            claim.key for claim in batch.claims if claim.lapses and claim.message.id != "haunted"
        ]
        if batch.token is not None and lapsed:
            await super().settle([Settle(batch.token, only=lapsed)])
        return batch


@pytest.mark.parametrize(
    ("make_store", "rule"),
    [
        (Early, "R2: claimed 0:00:00.000001 early"),
        (lambda clock: DeletesAtClaim(clock=clock), "R1: lost"),
        (lambda clock: NeverRecovers(clock=clock), "R1: not delivered"),
        (lambda clock: CancelsNothing(clock=clock), "R4: an id is not free"),
    ],
)
def test_a_store_that_breaks_a_rule_is_found_out(make_store: MakeStore, rule: str):
    with pytest.raises(AssertionError, match=rule):
        crash_everywhere(make_store)


def test_a_failure_tells_the_crash_point_to_try_again():
    def make_store(clock: Clock) -> DeletesWhatLapsed:
        return DeletesWhatLapsed(clock=clock)

    assert crash_points(make_store) == crash_points(memory)
    with pytest.raises(AssertionError, match="killed at crash point") as failure:
        crash_everywhere(make_store)
    number = int(str(failure.value).split("crash point ")[1].split(",")[0])
    assert number > 0
    crash_at(make_store, number - 1)
    with pytest.raises(AssertionError, match="R1: lost|R8: .* dead, gone"):
        crash_at(make_store, number)
