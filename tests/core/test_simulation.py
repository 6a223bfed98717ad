"""Random lives by seed; a failing one is lived again by DULY_SEED=<seed>.

``nox -s soak`` lives through DULY_SEEDS of them, 20,000 unless told otherwise.
"""

import os
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

import pytest

from duly.memory import MemoryStore
from duly.message import State
from duly.store import Batch, Clock, Key, Reschedule, Settle, Token
from duly.testing.crashes import MakeStore
from duly.testing.history import History
from duly.testing.simulation import simulate

SEEDS = 300
PARTS = 3  # so that one part can be told from another while they run
ONE_SEED = os.environ.get("DULY_SEED")
only_all = pytest.mark.skipif(ONE_SEED is not None, reason="DULY_SEED asks for one seed alone")


def memory(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


def live(make_store: MakeStore, seed: int) -> History:
    try:
        return simulate(make_store, seed)
    except Exception as error:
        error.add_note(f"To live it again: DULY_SEED={seed} pytest tests/core/test_simulation.py")
        raise


@pytest.mark.skipif(ONE_SEED is None, reason="DULY_SEED names no seed")
def test_the_seed_that_was_asked_for():
    live(memory, int(ONE_SEED or 0))


@only_all
@pytest.mark.parametrize("part", range(PARTS))
def test_many_seeds(part):
    for seed in range(part, SEEDS, PARTS):
        live(memory, seed)


@only_all
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_very_many_seeds():
    for seed in range(SEEDS, SEEDS + int(os.environ.get("DULY_SEEDS", "20000"))):
        live(memory, seed)


def test_much_happens_in_these_lives():
    events = [event.what for seed in range(60) for event in live(memory, seed).events]
    for what in ("begun", "accepted", "crashed", "cancelled", "too late", "moved", "replacing"):
        assert events.count(what) > 3, what
    assert events.count("begun") > events.count("accepted")


def test_a_seed_goes_the_same_way_again():
    for seed in range(10):
        assert live(memory, seed).events == live(memory, seed).events


# --- stores that break a rule


class Unfenced(MemoryStore):
    """Believes every token that it ever gave."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._keys: dict[Token, list[Any]] = {}

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        settled = await self.settle(settle)
        batch = await super().claim(**more)
        if batch.token is not None:
            self._keys[batch.token] = [claim.message.id for claim in batch.claims]
        return Batch(
            token=batch.token, claims=batch.claims, now=batch.now, next_due=batch.next_due,
            more=batch.more, settled=settled,
        )  # fmt: skip

    async def settle(self, settles: Sequence[Settle]) -> Sequence[bool]:
        outcomes = []
        for each in settles:
            (agreed,) = await super().settle([each])
            if not agreed and each.only is None:
                await self.cancel(self._keys[each.token])
            outcomes.append(True)
        return outcomes


class CancelsNothing(MemoryStore):
    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        return [
            None if message is None else message.state
            for message in [await self.get(id) for id in ids]
        ]


class TellsNobodyOfCancels(MemoryStore):
    """Cancels what is claimed only once it is given back."""

    async def cancel(self, ids: Sequence[str], **more: Any) -> Sequence[State | None]:
        (message,) = [await self.get(id) for id in ids]
        if message is not None and message.state is State.CLAIMED:
            return [State.CLAIMED]
        return await super().cancel(ids, **more)


class Early(MemoryStore):
    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=lambda: clock() + timedelta(milliseconds=1))


class CountsTwice(MemoryStore):
    """Takes the next fire of a series for one that is over."""

    async def claim(self, *, settle: Sequence[Settle] = (), **more: Any) -> Batch:
        return await super().claim(settle=[_skipping(each) for each in settle], **more)


class NeverRecovers(MemoryStore):
    async def claim(self, *, lease: timedelta, **more: Any) -> Batch:
        return await super().claim(lease=timedelta(days=1), **more)


class LosesAtOnce(MemoryStore):
    """Forgets at the claim, so that whoever dies takes it along."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        if batch.token is not None:
            await super().cancel([claim.message.id for claim in batch.claims])
        return batch

    async def renew(
        self, tokens: Sequence[Token], lease: timedelta
    ) -> Sequence[Collection[Key] | None]:
        return [frozenset() for _ in tokens]


def _skipping(settle: Settle) -> Settle:
    changed = {}
    for key, how in settle.exceptions.items():
        changed[key] = how
        if isinstance(how, Reschedule) and how.counters.occurrence_count:
            counters = how.counters
            changed[key] = Reschedule(
                how.next_attempt_at,
                type(counters)(
                    counters.scheduled_at, counters.retry_count, counters.occurrence_count + 1
                ),
            )
    return Settle(settle.token, changed, settle.only)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (Unfenced, "R1: lost"),
        (lambda clock: CancelsNothing(clock=clock), "R4: claimed although cancelled"),
        (lambda clock: TellsNobodyOfCancels(clock=clock), "R4: claimed although too late"),
        (Early, "R2: 0:00:00.001000 early"),
        (lambda clock: CountsTwice(clock=clock), "R3: occurrence"),
        (lambda clock: NeverRecovers(clock=clock), "R1: not delivered"),
        (lambda clock: LosesAtOnce(clock=clock), "R1: lost"),
    ],
)
def test_a_store_that_breaks_a_rule_is_found_out(broken: MakeStore, rule: str):
    with pytest.raises(AssertionError, match=rf"seed \d+: .*{rule}"):
        for seed in range(60):
            simulate(broken, seed)
