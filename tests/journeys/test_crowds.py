"""Many messages: shared by several schedulers, and stuck behind a name that hangs."""

import pytest
from tests.journeys.kit import Journey, batch, ids_of

BACKLOG = 5000


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 4])
async def test_a_backlog_shared_by_several(journey: Journey, count: int) -> None:
    messages = batch(BACKLOG, due=-1)
    workers = [await journey.start() for _ in range(count)]
    await journey.client.schedule_many(messages)
    await journey.emptied()
    for worker in workers:
        await worker.stop()
    assert set(journey.count("begun").values()) == {1}
    assert set(journey.count("settled")) == ids_of(messages)
    assert {note.attempt for note in journey.notes("begun")} == {1}
    assert not journey.early()
    assert sum(bool(worker.notes("done")) for worker in workers) > 1


async def test_others_pass_by_a_name_that_hangs(journey: Journey) -> None:
    hanging, others = batch(BACKLOG, "hang", due=-60), batch(500, due=1)
    await journey.client.schedule_many(hanging)
    worker = await journey.start(slots=40)  # a publish may take ten minutes
    await journey.client.schedule_many(others)
    await worker.noted("settled", len(others))
    await worker.hurry()
    assert set(worker.ids("done")) == ids_of(others)
    assert {id for id, times in journey.count("begun").items() if times > 1} <= ids_of(hanging)
    assert not journey.early()
    stats = await journey.client.stats()
    assert (stats.scheduled, stats.claimed, stats.dead) == (BACKLOG, 0, 0)
    assert {message.retry_count async for message in journey.client.iterate()} == {0}
