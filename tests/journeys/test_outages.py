"""A transport that is gone, and a message that takes the connection with it."""

import asyncio
from pathlib import Path

import pytest
from tests.journeys.kit import Journey, batch, ids_of, slow, until

from duly import Filter, Message, State, after


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
async def test_an_outage_is_no_failure(journey: Journey, tmp_path: Path, seconds: int) -> None:
    down = tmp_path / "down"
    before, meanwhile = slow(100, 0.02, due=-1), batch(100, due=1)
    worker = await journey.start(retries=1, slots=20, down=down)
    await journey.client.schedule_many(before)
    await until(lambda: len(worker.notes("done")) >= 20)
    down.touch()
    await journey.client.schedule_many(meanwhile)
    known = len(worker.notes("done"))
    await until(lambda: worker.notes("begun")[-1].at > worker.notes("done")[-1].at)
    most = 0
    async with asyncio.timeout(None) as outage:
        pass
    down.unlink()
    await journey.emptied()
    await worker.stop()
