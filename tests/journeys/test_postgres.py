"""On PostgreSQL: schedulers that die, connections that are cut, a server that restarts or freezes."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
from tests.journeys.kit import Journey, Worker, batch, ids_of, settled_down, until
from tests.journeys.props import Gate
from tests.servers.postgres import PostgresServer, execute

from duly import Message, StoreUnavailable, after

LEASES = "_leases"


@pytest.fixture
async def journey(tmp_path: Path, postgres_url: str) -> AsyncIterator[Journey]:
    table = f"j_{secrets.token_hex(4)}"
    async with Journey(tmp_path, f"{postgres_url}?table={table}") as journey:
        yield journey
    tables = ", ".join(f"{table}{end}" for end in ("", "_due", LEASES, "_floors", "_version"))
    await execute(
        postgres_url, f"DROP TABLE {tables}", f"DROP FUNCTION {table}_schedule, {table}_moved"
    )


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


@pytest.fixture
async def on_own_server(tmp_path: Path, server: PostgresServer) -> AsyncIterator[Journey]:
    async with Journey(tmp_path, server.url) as journey:
        yield journey


def all_done_once(
    journey: Journey, messages: list[Message], *, but: set[str] | None = None
) -> None:
    """Each was delivered, none early or dead; twice only those that may have been."""
    assert set(journey.count("done")) == ids_of(messages)
    assert not journey.early()
    doubled = {id for id, times in journey.count("begun").items() if times > 1}
    assert doubled <= (but or set())


async def test_a_scheduler_that_is_killed(journey: Journey, gate: Gate) -> None:
    gated = batch(30, "gated", metadata=gate.metadata)
    messages = [*gated, *batch(120), *batch(30, due=2, prefix="later")]
    await journey.client.schedule_many(messages)
    first = await journey.start(lease=2, batch=50, slots=20)
    await first.noted("done", 100)
    await first.kill()
    gate.open()
    held = await settled_down(journey)
    assert held.claimed > 0
    second = await journey.start(lease=30)
    await journey.emptied()
    await second.stop()
    all_done_once(journey, messages, but=first.unsettled())
    attempts = [note.attempt for note in second.notes("begun")]
    assert sum(attempt == 2 for attempt in attempts) == held.claimed
    assert (await journey.client.stats()).dead == 0


@pytest.mark.parametrize("count", [pytest.param(2, marks=pytest.mark.slow), 4])
async def test_a_backlog_shared_by_several(journey: Journey, count: int) -> None:
    workers = [await journey.start() for _ in range(count)]
    messages = batch(3000, due=1)
    await journey.client.schedule_many(messages)
    await journey.emptied()
    for worker in workers:
        await worker.stop()
    assert set(journey.count("begun").values()) == {1}
    all_done_once(journey, messages)
    shares = sorted(len(worker.notes("done")) for worker in workers)
    assert shares[0] >= len(messages) / count / 8, f"unfair: {shares}"


async def test_what_is_put_elsewhere_wakes(journey: Journey) -> None:
    await journey.client.schedule(Message("quick", id="tomorrow", scheduled_at=after(days=1)))
    worker = await journey.start()
    for number in range(3):
        await journey.client.schedule(Message("quick", id=f"m{number}", scheduled_at=after()))
        await worker.noted("done", number + 1)
    await worker.stop()
    lateness = [note.at - note.scheduled_at for note in worker.notes("begun") if note.scheduled_at]
    assert min(lateness).total_seconds() < 4  # the longest nap is five seconds


async def test_frozen_beyond_its_lease(journey: Journey, gate: Gate) -> None:
    messages = batch(20, "gated", metadata=gate.metadata)
    await journey.client.schedule_many(messages)
    frozen = await journey.start(lease=2, slots=20)
    await frozen.noted("begun", 5)  # as many as one name may hold
    await journey.freeze(frozen)
    begun = set(frozen.ids("begun"))
    gate.open()
    other = await journey.start(lease=30)
    await journey.emptied()
    again = Message("quick", id="gated-0", scheduled_at=after(hours=1))
    await journey.client.schedule(again)
    await other.stop()
    frozen.thaw()
    await journey.client.schedule(Message("quick", id="last", scheduled_at=after()))
    await frozen.noted("settled", 1)
    await frozen.stop()
    assert frozen.ids("settled") == ["last"]
    assert set(frozen.ids("begun")) == begun | {"last"}
    assert set(other.ids("settled")) == ids_of(messages)
    (left,) = await journey.client.list()
    assert left.created_at == again.created_at


async def scheduling(journey: Journey, stop: asyncio.Event) -> list[Message]:
    """Schedule until told to stop, whatever happens; what was stored, each try again and again."""
    stored: list[Message] = []
    for number in itertools.count():
        if stop.is_set():
            return stored
        messages = batch(20, prefix=f"load-{number}")
        while True:
            try:
                await journey.client.schedule_many(messages)
                break
            except StoreUnavailable:
                await asyncio.sleep(0.05)
        stored += messages
        await asyncio.sleep(0.01)
    raise AssertionError("unreachable")


async def test_every_connection_cut_again_and_again(
    on_own_server: Journey, server: PostgresServer
) -> None:
    journey, stop = on_own_server, asyncio.Event()
    workers = [await journey.start(lease=2) for _ in range(2)]
    load = asyncio.create_task(scheduling(journey, stop))
    for number in range(1, 9):
        await workers[0].noted("settled", number * 20)
        await execute(
            server.url,
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
        )
    stop.set()
    messages = await load
    await journey.emptied()
    for worker in workers:
        await worker.stop()
    all_done_once(journey, messages, but=ids_of(messages))
    assert (await journey.client.stats()).dead == 0
    assert not {note.attempt for note in journey.notes("begun")} - {1, 2, 3, 4}


@pytest.mark.parametrize("how", [pytest.param("stop", marks=pytest.mark.slow), "kill"])
async def test_a_server_that_is_restarted(
    on_own_server: Journey, server: PostgresServer, how: str
) -> None:
    journey, stop = on_own_server, asyncio.Event()
    worker = await journey.start(lease=60)
    load = asyncio.create_task(scheduling(journey, stop))
    await worker.noted("settled", 100)
    await asyncio.to_thread(getattr(server, how))
    await worker.says("the store fails")
    with pytest.raises(StoreUnavailable):
        await journey.client.stats()
    await asyncio.to_thread(server.start)
    known = len(worker.notes("settled"))
    await worker.noted("settled", known + 100)
    await worker.says("all is well")
    stop.set()
    messages = await load
    woken = Message("quick", id="woken", scheduled_at=after())
    await journey.client.schedule(woken)
    await left_over(journey, worker, server)
    await worker.stop()
    all_done_once(journey, [*messages, woken], but=ids_of(messages))
    assert (await journey.client.stats()).dead == 0


async def left_over(journey: Journey, worker: Worker, server: PostgresServer) -> None:
    """Wait until all is delivered; what an answer was lost for lapses now instead of in a minute."""
    while (stats := await journey.client.stats()).scheduled or stats.claimed:
        await execute(
            server.url,
            "UPDATE scheduled_messages_leases SET expires_at = now() "
            "WHERE expires_at < now() + interval '55 s'",
        )
        await asyncio.sleep(0.2)


@pytest.mark.parametrize(
    "seconds", [2, pytest.param(15, marks=pytest.mark.slow)], ids=["short", "long"]
)
async def test_a_server_that_freezes(
    on_own_server: Journey, server: PostgresServer, seconds: float
) -> None:
    """For longer than any call is waited for, in the long run."""
    journey, stop = on_own_server, asyncio.Event()
    worker = await journey.start(lease=3)
    load = asyncio.create_task(scheduling(journey, stop))
    await worker.noted("settled", 100)
    server.freeze()
    try:
        await asyncio.sleep(seconds)
    finally:
        server.thaw()
    known = len(worker.notes("settled"))
    await worker.noted("settled", known + 100)
    stop.set()
    messages = await load
    await journey.emptied()
    await worker.says("all is well")
    await worker.stop()
    all_done_once(journey, messages, but=ids_of(messages))
    assert (await journey.client.stats()).dead == 0


async def test_stopped_and_left_no_connection(
    on_own_server: Journey, server: PostgresServer
) -> None:
    worker = await on_own_server.start()
    await on_own_server.client.schedule_many(batch(50))
    await on_own_server.emptied()
    await worker.stop()
    await on_own_server.client.close()
    connection = await asyncpg.connect(server.url)

    async def none_left() -> bool:  # a server takes note a little later
        left = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'duly'"
        )
        return left == 0

    await until(none_left)
    await connection.close()
