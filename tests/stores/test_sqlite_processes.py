"""Several processes share one SQLite file."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from duly import Message, after
from duly.store import Group
from duly_sqlite import SQLiteStore

PROGRAM = Path(__file__).with_name("sqlite_process.py")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path)
    await store.open()
    yield store
    await store.close()


async def start(*arguments: str | Path) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, *arguments, stdin=PIPE, stdout=PIPE
    )


async def line(process: Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().strip()


async def put(store: SQLiteStore, *ids: str) -> None:
    messages = [Message("event", id=id, scheduled_at=after()) for id in ids]
    assert await store.put([Group(messages)]) == [None]


async def test_none_is_claimed_twice(store: SQLiteStore, path: Path) -> None:
    ids = [f"m{number:04}" for number in range(1500)]
    await put(store, *ids[:1000])
    drainers = [await start("drain", path) for _ in range(3)]
    for drainer in drainers:
        assert await line(drainer) == "ready"
    running = [asyncio.create_task(drainer.communicate(b"go\n")) for drainer in drainers]
    for place in range(1000, 1500, 50):
        await put(store, *ids[place : place + 50])
    told = [(await each)[0].decode().split() for each in running]
    batch = await store.claim(limit=1000, lease=MINUTE, owner="rest")
    rest = [claim.message.id for claim in batch.claims]
    assert sorted(id for each in [*told, rest] for id in each) == ids
    assert (await store.stats()).claimed == len(rest)
    assert [drainer.returncode for drainer in drainers] == [0, 0, 0]


async def test_what_a_killed_process_held_comes_back(store: SQLiteStore, path: Path) -> None:
    ids = [f"m{number}" for number in range(100)]
    await put(store, *ids)
    holder = await start("hold", path)
    assert await line(holder) == "100"
    assert holder.returncode is None
    holder.send_signal(signal.SIGKILL)
    await holder.wait()
    assert (await store.stats()).claimed == 100
    batch = await store.claim(limit=100, lease=MINUTE, owner="me")
    if not batch.claims:
        assert batch.next_due is not None
        await asyncio.sleep((batch.next_due - batch.now).total_seconds() + 0.01)
        batch = await store.claim(limit=100, lease=MINUTE, owner="me")
    assert [(claim.message.id, claim.lapses) for claim in batch.claims] == [(id, 1) for id in ids]


async def test_a_killed_process_leaves_a_sound_file(store: SQLiteStore, path: Path) -> None:
    await put(store, *(f"m{number:04}" for number in range(1000)))
    await store.close()
    drainer = await start("drain", path)
    assert await line(drainer) == "ready"
    assert drainer.stdin is not None
    drainer.stdin.write(b"go\n")
    told = [await line(drainer) for _ in range(300)]
    drainer.kill()
    await drainer.wait()
    await store.open()
    stats = await store.stats()
    left = stats.scheduled + stats.claimed
    # Of what it told all but the batches in hand are gone; it may have gone on unheard.
    assert left <= 1000 - 300 + 2 * 7
    assert stats.claimed <= 7
    assert len(set(told)) == 300


async def test_a_message_from_elsewhere_is_noticed(store: SQLiteStore, path: Path) -> None:
    await put(store, "ours")
    assert not await store.changed()
    assert await (await start("put", path, "theirs")).wait() == 0
    assert await store.changed()
    assert not await store.changed()
    assert await store.get("theirs") is not None
