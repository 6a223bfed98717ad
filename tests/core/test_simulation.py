"""Random lives by seed; a failing one is lived again by DULY_SEED=<seed>.

``nox -s soak`` lives through DULY_SEEDS of them, 20,000 unless told otherwise.
"""

import os
from collections import Counter
from collections.abc import Sequence

import pytest

from duly.memory import MemoryStore
from duly.recurrence import Cron, Every
from duly.store import Clock
from duly.testing.crashes import MakeStore
from duly.testing.entries import Entry
from duly.testing.journal import Journal
from duly.testing.simulation import simulate

SEEDS = 300
PARTS = 6  # so that none takes long, and one can be told from another
ONE_SEED = os.environ.get("DULY_SEED")
only_all = pytest.mark.skipif(ONE_SEED is not None, reason="DULY_SEED asks for one seed alone")


def memory(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


class ClaimedAhead(MemoryStore):
    """Processes see it as a store that tells when a claim was answered."""

    claims_ahead = True


def claimed_ahead(clock: Clock) -> MemoryStore:
    return ClaimedAhead(clock=clock)


def live_by(seed: int) -> Journal:
    """Every other life is one with a store that is claimed from ahead."""
    return live(claimed_ahead if seed % 2 else memory, seed)


def live(make_store: MakeStore, seed: int) -> Journal:
    try:
        return simulate(make_store, seed)
    except Exception as error:
        error.add_note(f"To live it again: DULY_SEED={seed} pytest tests/core/test_simulation.py")
        raise


@pytest.mark.skipif(ONE_SEED is None, reason="DULY_SEED names no seed")
def test_the_seed_that_was_asked_for():
    live_by(int(ONE_SEED or 0))


@only_all
@pytest.mark.parametrize("part", range(PARTS))
def test_many_seeds(part):
    for seed in range(part, SEEDS, PARTS):
        live_by(seed)


@only_all
@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_very_many_seeds():
    for seed in range(SEEDS, SEEDS + int(os.environ.get("DULY_SEEDS", "20000"))):
        live_by(seed)


@pytest.fixture(scope="module")
def lives() -> Sequence[Sequence[Entry]]:
    return [live(memory, seed).entries for seed in range(60)]


def test_much_happens_in_these_lives(lives):
    entries = [entry for entries in lives for entry in entries]
    whats = Counter(entry.what for entry in entries)
    for what in (
        "accepted", "arrived", "begun", "cancelled", "crashed", "frozen", "moved", "refused",
        "repeated", "replaced", "replayed", "thawed", "too late",
    ):  # fmt: skip
        assert whats[what] > 5, what
    assert whats["begun"] > whats["accepted"]
    settled = Counter(entry.detail for entry in entries if entry.what == "settled")
    for how in ("buried", "deleted", "put back", "went on"):
        assert settled[how] > 5, how
    decided = Counter(entry.detail for entry in entries if entry.what == "decided")
    for verdict in ("bury Expired", "bury Rejected", "discard Expired", "retry "):
        assert decided[verdict] > 1, verdict
    removed = Counter(entry.detail for entry in entries if entry.what == "cancelled")
    assert removed["dead"] > 5
    assert any(entry.lapses > 1 for entry in entries)


def test_fires_are_missed_and_made_good_in_each_way(lives):
    ways = set()
    for entries in lives:
        claimed = {}
        for entry in entries:
            if entry.what == "claimed":
                claimed[entry.token, entry.scheduling] = entry
            elif entry.what == "settled" and entry.detail in ("went on", "deleted"):
                before = claimed[entry.token, entry.scheduling]
                recurrence = before.message.recurrence
                later = entry.moment is None or entry.moment > before.moment
                if later and entry.occurrence in (0, before.occurrence) and recurrence is not None:
                    ways.add((recurrence.missed, type(recurrence)))
    assert ways >= {(missed, kind) for missed in ("once", "skip") for kind in (Every, Cron)}


def test_a_seed_goes_the_same_way_again(lives):
    for seed in range(10):
        assert live(memory, seed).entries == lives[seed]
