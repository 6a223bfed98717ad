"""The version before, as its wheels have it, beside this one on one namespace of each store."""

import itertools
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from tests.journeys.neighbours import Neighbours, unsettled
from tests.journeys.rolling import Rolling
from tests.journeys.stores_before import namespace
from tests.servers.mongo import mongo_url

__all__ = ["mongo_url"]  # fixtures are found by their names

OFTEN, NEXT = timedelta(milliseconds=200), timedelta(milliseconds=300)
SERIES = {
    "old-every": OFTEN,
    "old-cron": timedelta(seconds=1),
    "new-every": OFTEN,
    "new-cron": timedelta(seconds=1),
    "changed": OFTEN,
    "buried": OFTEN,
    "jitter": OFTEN,
    "anchor": OFTEN,
    "gripped": OFTEN,
}
STORES = [
    "postgres",
    *(
        pytest.param(each, marks=pytest.mark.slow)
        for each in ("sqlite", "redis", "postgres by hand", "mongo")
    ),
]


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with namespace(request.param.split()[0], tmp_path, request) as url:
        yield url


@pytest.fixture
async def shared(
    request: pytest.FixtureRequest, store: str, tmp_path: Path
) -> AsyncIterator[Neighbours]:
    by_hand = request.node.callspec.params["store"].endswith("by hand")
    async with Neighbours(tmp_path, store, by_hand=by_hand) as neighbours:
        yield neighbours


@pytest.mark.timeout(180)  # five processes start one after the other, on a machine that may be busy
async def test_a_rolling_upgrade_there_and_back_again(shared: Neighbours) -> None:
    story = Rolling(shared)
    await story.the_version_before_alone()
    await story.this_one_beside_it()
    await story.each_meets_what_the_other_stored()
    await story.what_follows_goes_with_what_it_follows()
    await story.the_version_before_is_killed()
    await story.this_one_is_killed()
    await story.back_again()
    await story.and_forth()
    nothing_is_lost_early_or_doubled(story)
    assert not {*story.newer} & story.shared.begun_before()


def nothing_is_lost_early_or_doubled(story: Rolling) -> None:
    shared = story.shared
    done = shared.fires("done")
    assert Counter(id for id, _ in done if id not in [*SERIES, "followed"]) == story.wanted
    for id, interval in SERIES.items():
        assert {*steps(shared, id)} <= {interval}, id
    cut, *then = itertools.dropwhile(lambda step: step == OFTEN, steps(shared, "followed"))
    assert NEXT <= cut < OFTEN + NEXT  # it counts from a moment between two fires of the old rule
    assert {*then} == {NEXT}
    doubled = {each for each, times in done.items() if times > 1}
    assert doubled <= {each for host in story.killed for each in unsettled(host)}
    assert not shared.early()
    for name in ("old-failing", "new-failing"):
        attempts = {note.attempt for note in shared.notes("begun") if note.id == f"{name}-0"}
        assert attempts == {1, 2, 3, 4}


def steps(shared: Neighbours, id: str) -> Sequence[timedelta]:
    """From each fire of a series that was delivered to the next."""
    moments = {note.scheduled_at for note in shared.notes("done") if note.id == id}
    return [later - fire for fire, later in itertools.pairwise(sorted(filter(None, moments)))]
