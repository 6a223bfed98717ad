"""Random lives among crowds, by seed, and mistakes planted into lines that they must find out.

``nox -s soak`` lives through DULY_CROWDS of them, 1,000 unless told otherwise; a failing one is
lived again by DULY_CROWD=<seed>.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs
import pytest

from duly._engine.sidings import HeldBack
from duly._memory.lines import Lines
from duly.memory import MemoryStore
from duly.store import Batch, Claim, Clock, Rooms
from duly.testing.crashes import MakeStore
from duly.testing.crowded import Crowded
from duly.testing.journal import Journal
from duly.testing.simulation import simulate

SEEDS = range(6)
ENOUGH = 12  # seeds in which a mistake must show
pytestmark = pytest.mark.timeout(300)
ONE_SEED = os.environ.get("DULY_CROWD")


def memory(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


def live(make_store: MakeStore, seed: int) -> Journal:
    try:
        return simulate(make_store, seed, Crowded)
    except Exception as error:
        error.add_note(f"To live it again: DULY_CROWD={seed} pytest {__file__}")
        raise


@pytest.mark.parametrize("seed", SEEDS if ONE_SEED is None else [int(ONE_SEED)])
def test_nobody_is_lost_in_a_crowd(seed):
    entries = live(memory, seed).entries
    assert sum(entry.look.moved for entry in entries if entry.look is not None) > 50
    assert {"put off", "crashed", "replaced"} <= {entry.what for entry in entries} or seed


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_nobody_is_lost_in_very_many_crowds():
    for seed in range(len(SEEDS), len(SEEDS) + int(os.environ.get("DULY_CROWDS", "1000"))):
        live(memory, seed)


def find(make_store: MakeStore, rule: str) -> None:
    with pytest.raises(AssertionError, match=rf"seed \d+: .*({rule})"):
        for seed in range(ENOUGH):
            simulate(make_store, seed, Crowded)


# --- stores that break a rule


class LosesSidings(MemoryStore):
    """Forgets what stands aside of a name when a lease lapses that held some of it."""

    async def claim(self, **more: Any) -> Batch:
        batch = await super().claim(**more)
        for name in {claim.message.event_name for claim in batch.claims if claim.lapses}:
            aside = self._ledger.lines.sidings._by_name.get(name, ())
            await super().cancel([entry.message.id for entry in list(aside)])
        return batch


class VisitsWhatIsNamed(MemoryStore):
    """Looks into no siding of a name that the claim does not tell."""

    async def claim(self, *, most: Mapping[str, int] = {}, **more: Any) -> Batch:
        others = [name for name in self._ledger.lines.sidings.names if name not in most]
        return await super().claim(most={**dict.fromkeys(others, 0), **most}, **more)


class HandsOutTwice(MemoryStore):
    """Finds in the main line what it has just taken out of a siding."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self._again: Sequence[Claim] | None = None

    async def claim(self, **more: Any) -> Batch:
        sidings = self._ledger.lines.sidings._by_name.values()
        aside = {entry.message.id for siding in sidings for entry in siding}
        batch = await super().claim(**more)
        again, taken = self._again, [each for each in batch.claims if each.message.id in aside]
        if again is None:
            self._again = taken or None
        elif batch.token is not None:
            self._again = ()  # once will do
            return attrs.evolve(batch, claims=[*batch.claims, *again])
        return batch


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (LosesSidings, "R1: lost|R10: it was told that there is no more"),
        (VisitsWhatIsNamed, "R10: it was told that there is no more|R1: not delivered"),
        # Whoever has it twice has no lapse counted for it.
        (HandsOutTwice, "R3: claimed while|R7: . lapses, not"),
    ],
)
def test_a_store_that_breaks_a_rule_is_found_out(broken: type[MemoryStore], rule: str):
    find(lambda clock: broken(clock=clock), rule)


def moves_series_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rooms, "may_wait", lambda self, name, *, recurs: True)


def lets_the_main_line_overtake(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is met of a name that stands aside is handed out before it."""
    look_past = Lines._look_past

    def look(self: Lines, *args: Any) -> int:
        names, self.sidings.names = self.sidings.names, {}.keys()  # type: ignore[assignment]  # of none
        try:
            return look_past(self, *args)
        finally:
            self.sidings.names = names

    monkeypatch.setattr(Lines, "_look_past", look)


# --- engines that break one


def never_lets_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeldBack, "_flows", lambda self, name, most, brought: False)


def holds_everybody_back(monkeypatch: pytest.MonkeyPatch) -> None:
    most = HeldBack.most

    def none(self: HeldBack[Any], *args: Any) -> Mapping[str, int]:
        return {"*": 0} if most(self, *args) else {}

    monkeypatch.setattr(HeldBack, "most", none)


@pytest.mark.parametrize(
    ("mistake", "rule"),
    [
        (moves_series_aside, "R10: it was told that there is no more"),
        (lets_the_main_line_overtake, "R2: claimed before"),
        (never_lets_go, "R10: .* still holds back"),
        (holds_everybody_back, "R10: |R1: not delivered"),
    ],
)
def test_lines_that_break_a_rule_are_found_out(
    monkeypatch: pytest.MonkeyPatch, mistake: Callable[[pytest.MonkeyPatch], None], rule: str
):
    mistake(monkeypatch)
    find(memory, rule)
