"""Pauses and limits over three schedulers, of which one is frozen or killed, on each store."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.journeys.controlled import SECOND, begun, most_at_once, over_the_rate, within
from tests.journeys.kit import Journey, batch, slow, until

RATE = 20


@pytest.fixture(params=[pytest.param("sqlite", marks=pytest.mark.slow), "redis", "postgres"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'controls.db'}"
    if request.param == "redis":
        return f"{request.getfixturevalue('empty_redis')}/0"
    return f"{request.getfixturevalue('postgres_url')}?table=t{secrets.token_hex(4)}"


@pytest.fixture
async def crew(shared: str, tmp_path: Path) -> AsyncIterator[Journey]:
    """Three schedulers at work on one store."""
    async with Journey(tmp_path, shared) as journey:
        await asyncio.gather(*(journey.start(slots=16, batch=40, lease=30) for _ in range(3)))
        yield journey


async def test_what_is_paused_stays_so_even_for_one_that_was_frozen(crew: Journey) -> None:
    frozen = crew.workers[0]
    await crew.client.schedule_many(slow(600, 0.05))
    await frozen.noted("begun", 10)
    await crew.freeze(frozen)
    await crew.client.pause("slow")
    paused_at = datetime.now(UTC)
    await asyncio.sleep(1.5)
    thawed_at = datetime.now(UTC)
    frozen.thaw()
    await crew.client.schedule_many(batch(20))
    await asyncio.sleep(2)
    resumed_at = datetime.now(UTC)
    notes = begun(crew.workers, "slow")
    assert not within(notes, paused_at + SECOND, resumed_at)
    assert not within(begun([frozen], "slow"), thawed_at, resumed_at)
    assert len(begun(crew.workers, "quick")) == 20, "others flow"
    assert await crew.client.resume("slow")
    await crew.emptied()
    assert within(begun(crew.workers, "slow"), resumed_at, datetime.now(UTC))
    assert set(crew.count("settled").values()) == {1}
    assert len(crew.count("settled")) == 620


async def test_one_in_flight_though_one_of_three_is_killed(crew: Journey) -> None:
    async def enough() -> bool:
        return len(crew.notes("done")) >= 20

    await crew.client.limit("slow", in_flight=1)
    await asyncio.sleep(1.1)
    await crew.client.schedule_many(slow(400, 0.05))
    victim = crew.workers[0]
    await until(enough)
    await victim.kill()
    await asyncio.sleep(2)
    others = crew.workers[1:]
    assert most_at_once(crew.workers, "slow") <= 1 + len(victim.unsettled())
    assert most_at_once(others, "slow") <= 1
    await crew.client.limit("slow")
    await crew.client.pause("*")


async def test_a_rate_over_three(crew: Journey) -> None:
    await crew.client.limit("quick", rate=RATE)
    await asyncio.sleep(1.1)
    await crew.client.schedule_many(batch(400))
    await asyncio.sleep(6)
    notes = begun(crew.workers, "quick")
    assert notes
    for seconds in (1, 3, 6):
        assert not over_the_rate(notes, RATE, seconds)
    await crew.client.pause("*")
