"""Who is alive, who is dead, and who comes back under the same name: processes killed and frozen."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.journeys.kit import SQLITE, Journey, batch, until
from tests.journeys.props import Gate
from tests.servers.postgres import execute

from duly import SchedulerInfo, WrongState

PARTS = ("", "_due", "_leases", "_floors", "_notes", "_version")


@pytest.fixture(params=["sqlite", "redis", pytest.param("postgres", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    name = f"j_{secrets.token_hex(4)}"
    if request.param == "sqlite":
        return f"{SQLITE}{tmp_path / 'journey.db'}"
    if request.param == "redis":
        return f"{request.getfixturevalue('empty_redis')}/0?key_prefix={name}:"
    return f"{request.getfixturevalue('postgres_url')}?table={name}"


@pytest.fixture
async def journey(url: str, tmp_path: Path) -> AsyncIterator[Journey]:
    async with Journey(tmp_path, url) as journey:
        yield journey
    server, _, name = url.partition("?table=")
    if name:
        tables = ", ".join(f"{name}{end}" for end in PARTS)
        functions = f"{name}_schedule, {name}_moved"
        await execute(server, f"DROP TABLE {tables}", f"DROP FUNCTION {functions}")


async def listed(journey: Journey) -> dict[str | None, SchedulerInfo]:
    return {each.instance: each for each in await journey.client.schedulers()}


async def test_killed_and_recovered_at_once(journey: Journey, gate: Gate) -> None:
    await journey.client.schedule_many(batch(20, "gated", metadata=gate.metadata))
    first = await journey.start(lease=300, slots=20, instance="orders-0")
    await first.noted("begun", 5)
    other = await journey.start(lease=300)
    info = (await listed(journey))["orders-0"]
    assert (info.pid, info.gone, info.slots) == (first.process.pid, False, 20)
    with pytest.raises(WrongState, match="is not gone"):
        await journey.client.recover("orders-0")
    await first.kill()
    held = (await journey.client.stats()).claimed
    gate.open()
    # On one host its process is seen to be dead; elsewhere that has to be said.
    force = not journey.store.startswith(SQLITE)
    freed = await journey.client.recover("orders-0", force=force)
    assert 5 <= freed <= held
    await journey.emptied()  # long before the lease would have lapsed
    await other.stop()
    done = journey.count("done")
    assert done == {f"gated-{number}": 1 for number in range(20)}
    assert sum(note.attempt == 2 for note in other.notes("begun")) == freed
    assert not await journey.client.schedulers()


async def test_started_again_under_its_name(journey: Journey, gate: Gate) -> None:
    await journey.client.schedule_many(batch(20, "gated", metadata=gate.metadata))
    first = await journey.start(lease=300, slots=20, instance="orders-0")
    await first.noted("begun", 5)
    await first.kill()
    held = (await journey.client.stats()).claimed
    gate.open()
    again = await journey.start(lease=300, instance="orders-0")
    await journey.emptied()  # fifteen seconds later, or at once
    assert "two live" not in (await again.health()).reason
    assert sum(note.attempt == 2 for note in again.notes("begun")) == held > 0
    assert (await listed(journey))["orders-0"].pid == again.process.pid
    await again.stop()
    assert journey.count("done") == {f"gated-{number}": 1 for number in range(20)}


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_frozen_while_another_has_its_name(journey: Journey, gate: Gate) -> None:
    await journey.client.schedule_many(batch(20, "gated", metadata=gate.metadata))
    frozen = await journey.start(lease=300, slots=20, batch=20, instance="orders-0")
    await frozen.noted("begun", 5)
    await journey.freeze(frozen)
    other = await journey.start(lease=300, instance="orders-0")
    await asyncio.sleep(5)  # less than it takes to be gone
    frozen.thaw()
    await other.says("two live schedulers are called 'orders-0': ")
    assert (await other.health()).status == "degraded"
    gate.open()
    await journey.emptied()
    assert {note.attempt for note in journey.notes("begun")} == {1}
    assert journey.count("done") == {f"gated-{number}": 1 for number in range(20)}
    await frozen.stop()

    async def well() -> bool:
        return "two live" not in (await other.health()).reason

    await until(well)
    assert [each.pid for each in await journey.client.schedulers()] == [other.process.pid]
    await other.stop()
    assert not await journey.client.schedulers()


async def test_who_stops_is_listed_no_more(journey: Journey) -> None:
    workers = [await journey.start(instance=f"orders-{number}") for number in range(3)]

    async def all_there() -> bool:
        return len(await journey.client.schedulers()) == 3

    await until(all_there)
    for number, worker in enumerate(workers):
        await worker.stop()
        left = await listed(journey)
        assert sorted(map(str, left)) == [f"orders-{n}" for n in range(number + 1, 3)]
        assert not any(each.gone for each in left.values())
