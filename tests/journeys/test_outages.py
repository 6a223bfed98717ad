"""A transport that is gone, and a message that takes the connection with it."""

import asyncio
from pathlib import Path

import pytest
from tests.journeys.kit import Journey, batch, ids_of, slow, until

from duly import Filter, Message, State, after


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
async def test_an_outage_is_no_failure(journey: Journey, tmp_path: Path, seconds: int) -> None:
    down, messages = tmp_path / "down", [*slow(100, 0.05, due=-1), *batch(100)]
    worker = await journey.start(retries=1, slots=20, down=down)
    await journey.client.schedule_many(messages[:100])
    await worker.noted("done", 20)
    down.touch()
    await journey.client.schedule_many(messages[100:])

    async def nothing_in_hand() -> bool:
        return not (await journey.client.stats()).claimed

    async def at_most_a_probe() -> bool:
        return (await journey.client.stats()).claimed <= 1

    await worker.says("the transport is unavailable")
    await until(nothing_in_hand)
    published, end = len(worker.notes("done")), after(seconds=seconds)
    while after() < end:
        await until(at_most_a_probe)  # others may be claimed with it, and go back at once
        stats = await journey.client.stats()
        assert stats.scheduled + stats.claimed == len(messages) - published
        await asyncio.sleep(0.05)
    assert len(worker.notes("done")) == published
    down.unlink()
    stats = await journey.emptied()
    await worker.says("all is well")
    await worker.stop()

    assert stats.dead == 0
    assert set(journey.count("done")) == ids_of(messages)
    assert set(journey.count("done").values()) == {1}
    assert {note.attempt for note in journey.notes("begun")} == {1}  # no retry was counted
    # Before and after it, and maybe once as a probe: it is another one each time.
    assert set(journey.count("begun").values()) <= {1, 2, 3}


@pytest.mark.parametrize("innocents", [0, 60])
async def test_a_message_that_breaks_the_connection(journey: Journey, innocents: int) -> None:
    messages = slow(innocents, 0.03, due=-2)
    breaker = Message("break", id="breaker", scheduled_at=after(seconds=-2))
    await journey.client.schedule_many([*messages, breaker])
    worker = await journey.start(retries=2, slots=20)
    stats = await journey.emptied()
    await worker.stop()
    assert stats.dead == 1
    assert journey.count("done") == dict.fromkeys(ids_of(messages), 1)
    (letter,) = await journey.client.list(Filter(state=State.DEAD))
    assert letter.id == "breaker"
    assert letter.retry_count == 2
    assert letter.last_error == "TransportUnavailable: connection reset"
