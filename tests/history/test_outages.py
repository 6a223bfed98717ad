"""The database of a history is away: deliveries go on, and what is lost is told."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

from tests.history.kit import START, kept, scene, until
from tests.servers.postgres import PostgresServer

import duly
from duly import Message
from duly.testing.clock import HandClock
from duly_history import History, What
from duly_history.queue import Queue, Told

KILLED = Path(__file__).with_name("killed.py")


async def test_deliveries_go_on_and_all_is_written_when_it_is_back():
    with PostgresServer() as server:
        async with scene(server.url) as here:
            await here.schedule("before")
            await here.drain()
            await here.history.flush()
            server.kill()
            for number in range(20):
                await here.schedule(f"order-{number}")
                await here.drain()
            assert here.scheduler is not None
            server.start()
            await here.history.flush()
            found = await here.history.search(what=What.DELIVERED)
            assert len(found.entries) == 21
            assert found.holes == []
            assert (await here.history.rates()).delivered == 21


async def test_what_does_not_fit_is_a_hole():
    with PostgresServer() as server:
        async with scene(server.url, most_waiting=10) as here:
            await here.history.flush()
            server.kill()
            for number in range(10):
                await here.store.advance(seconds=1)
                await here.schedule(f"order-{number}")
                await here.drain()
            server.start()
            await here.history.flush()
            await here.schedule("after")
            assert await here.told("after") == ["scheduled"]
            found = await here.history.search()
            kept_of = [each for each in found.entries if each.message_id != "after"]
            assert len(kept_of) == 10
            holes = found.holes  # one, or more where something was written in between
            assert sum(each.number or 0 for each in holes) == 10
            assert {each.reason for each in holes} == {"the queue was full"}
            assert START < holes[0].from_at <= holes[-1].to_at == here.store.now
            assert (await here.history.of("order-0")).holes == holes
            assert (await here.history.rates()).holes == holes
            assert (await here.history.search(until=START)).holes == []


async def test_a_locked_file(tmp_path):
    async with scene(f"sqlite:///{tmp_path}/history.db") as here:
        await here.history.flush()
        other = sqlite3.connect(tmp_path / "history.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await here.schedule("order-1")
        await here.drain()  # at once
        other.execute("ROLLBACK")
        other.close()
        assert await here.told("order-1") == ["scheduled", "delivered"]


async def test_a_batch_is_written_once_though_its_answer_was_lost(history_url):
    async with scene(history_url) as here:
        await here.history.flush()
        writer = here.history.recorder.writer()
        write, lost = writer.ledger.write, []

        def write_and_lose(batch):
            write(batch)
            if not lost:
                lost.append(batch)
                raise duly.StoreUnavailable("the answer was lost")

        writer.ledger.write = write_and_lose
        await here.schedule("order-1")
        await until(lambda: lost)
        assert await here.told("order-1") == ["scheduled"]


async def test_closed_and_opened_again(history_url):
    async with scene(history_url) as here:
        for number in range(5):
            async with duly.Client(here.store, plugins=[here.history]) as client:
                at = here.store.after(hours=1)
                await client.schedule(Message("tick", id=str(number), scheduled_at=at))
        await here.history.flush()
        assert len((await here.history.search()).entries) == 5


async def test_whoever_was_killed_is_missed(history_url):
    process = subprocess.Popen(  # noqa: ASYNC220  # it is there at once
        [sys.executable, KILLED, history_url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = await asyncio.to_thread(process.stdout.readline)
    assert line == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    clock = HandClock(duly.after(minutes=1))
    async with kept(History(history_url, clock=clock)) as other:
        (seen,) = (await other.search()).holes  # told before it is written down
        assert (seen.number, seen.source.split(":")[1]) == (None, str(process.pid))
        await other.flush()
        found = await other.search()
        (hole,) = found.holes
        assert hole.from_at == seen.from_at
        assert [each.what for each in found.entries] == [What.SCHEDULED]
        clock.advance(minutes=1)
        assert (await other.search()).holes == [hole]


async def test_whoever_ended_well_is_not(history_url):
    code = KILLED.read_text().replace("    time.sleep(60)", "    _ = time")
    process = subprocess.run(  # noqa: ASYNC221  # nothing else goes on
        [sys.executable, "-c", code, history_url], capture_output=True, text=True, check=False
    )
    assert process.stdout == "written\n", process.stderr
    async with kept(History(history_url, clock=HandClock(duly.after(hours=1)))) as other:
        found = await other.search()
        assert (found.holes, len(found.entries)) == ([], 2)


def test_the_queue_counts_what_it_drops():
    queue = Queue(3)
    told = Told(What.DELIVERED, START, "host:1", [("a",), ("b",)])
    later = told._replace(at=START + timedelta(minutes=1))
    assert queue.put(told)
    assert not queue.put(told)
    assert not queue.put(later)
    taken, hole = queue.take(100)
    assert (taken, len(queue)) == ([told], 2)
    assert hole == (START, later.at, 4)
    assert not queue.put(later)
    queue.written(2)
    assert queue.put(later)
    assert queue.take(1) == ([later], (later.at, later.at, 2))
