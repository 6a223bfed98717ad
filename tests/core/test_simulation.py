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
from duly.testing.events import Event
from duly.testing.history import History
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


def live_by(seed: int) -> History:
    """Every other life is one with a store that is claimed from ahead."""
    return live(claimed_ahead if seed % 2 else memory, seed)


def live(make_store: MakeStore, seed: int) -> History:
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
def lives() -> Sequence[Sequence[Event]]:
    return [live(memory, seed).events for seed in range(60)]


def test_much_happens_in_these_lives(lives):
    events = [event for events in lives for event in events]
    whats = Counter(event.what for event in events)
    for what in (
        "accepted", "arrived", "begun", "cancelled", "crashed", "frozen", "moved", "refused",
        "repeated", "replaced", "replayed", "thawed", "too late",
    ):  # fmt: skip
        assert whats[what] > 5, what
    assert whats["begun"] > whats["accepted"]
    settled = Counter(event.detail for event in events if event.what == "settled")
    for how in ("buried", "deleted", "put back", "went on"):
        assert settled[how] > 5, how
    decided = Counter(event.detail for event in events if event.what == "decided")
    for verdict in ("bury Expired", "bury Rejected", "discard Expired", "retry "):
        assert decided[verdict] > 1, verdict
    removed = Counter(event.detail for event in events if event.what == "cancelled")
    assert removed["dead"] > 5
    assert any(event.lapses > 1 for event in events)


def test_fires_are_missed_and_made_good_in_each_way(lives):
    ways = set()
    for events in lives:
        claimed = {}
        for event in events:
            if event.what == "claimed":
                claimed[event.token, event.scheduling] = event
            elif event.what == "settled" and event.detail in ("went on", "deleted"):
                before = claimed[event.token, event.scheduling]
                recurrence = before.message.recurrence
                later = event.moment is None or event.moment > before.moment
                if later and event.occurrence in (0, before.occurrence) and recurrence is not None:
                    ways.add((recurrence.missed, type(recurrence)))
    assert ways >= {(missed, kind) for missed in ("once", "skip") for kind in (Every, Cron)}


def test_a_seed_goes_the_same_way_again(lives):
    for seed in range(10):
        assert live(memory, seed).events == lives[seed]
