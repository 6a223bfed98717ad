"""Sidings in a file: of older versions, of several processes, with rows of others, and at any size."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.stores.test_sqlite_file import START, made_by_old
from tests.stores.test_sqlite_plans import plan, scans
from tests.stores.test_sqlite_processes import line, start
from tests.stores.test_sqlite_signals import MINUTE

from duly import Message, State, after
from duly.store import PAUSED, Batch, Group
from duly_sqlite import SQLiteStore, sql_lines

NOTHING = {"*": PAUSED}
STATEMENTS = {
    name: text
    for name, text in vars(sql_lines).items()
    if isinstance(text, str) and text.startswith(("SELECT", "DELETE", "INSERT"))
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path)
    await store.open()
    yield store
    await store.close()


async def put(store: SQLiteStore, name: str, *ids: str) -> None:
    messages = [Message(name, id=id, scheduled_at=after()) for id in ids]
    assert await store.put([Group(messages)]) == [None]


async def claim(store: SQLiteStore, limit: int = 100, **more: int) -> Batch:
    most = {name.replace("_", "*"): number for name, number in more.items()}
    return await store.claim(limit=limit, lease=MINUTE, owner="me", most=most)


def ids(batch: Batch) -> Sequence[str]:
    return [claim.message.id for claim in batch.claims]


@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_file_is_marked_by_migrating_alone(path: Path, version: int) -> None:
    made_by_old(path, "a", "b", "c", version=version)
    await (store := SQLiteStore(path, clock=lambda: START)).open()
    batch = await claim(store, 1, _=PAUSED)
    assert (ids(batch), batch.moved, batch.aside) == (["a"], 0, False)
    assert list(await store.migrate()) == [sql_lines.MARK]
    batch = await claim(store, _=PAUSED)
    assert (ids(batch), batch.moved, batch.aside) == ([], 2, True)
    made_by_old(path, "d", version=version)  # which goes on beside
    assert ids(await claim(store)) == ["b", "c", "d"]
    await store.close()


async def test_processes_move_and_drain_and_none_is_claimed_twice(
    store: SQLiteStore, path: Path
) -> None:
    names = [f"m{number:04}" for number in range(900)]
    for name, place in (("slow", 0), ("fast", 300), ("other", 600)):
        await put(store, name, *names[place : place + 300])
    flowing = [await start("flow", path) for _ in range(3)]
    for each in flowing:
        assert await line(each) == "ready"
    running = [asyncio.create_task(each.communicate(b"go\n")) for each in flowing]
    told = [(await each)[0].decode().split() for each in running]
    rest = await claim(store, 1000)
    assert sorted(id for each in [*told, ids(rest)] for id in each) == names
    stats = await store.stats()
    assert (stats.scheduled, stats.aside) == (0, 0)


async def test_what_stands_aside_is_found_by_who_opens_the_file_later(
    store: SQLiteStore, path: Path
) -> None:
    await put(store, "slow", "a", "b")
    assert (await claim(store, slow=0)).moved == 2
    await store.close()
    await (later := SQLiteStore(path)).open()
    assert (await later.stats()).aside == 2
    assert ids(await claim(later)) == ["a", "b"]
    await later.close()


async def test_a_message_whose_name_cannot_be_read_is_not_moved(
    store: SQLiteStore, path: Path
) -> None:
    """It is set aside as ever, and the rest flows."""
    await put(store, "slow", "a", "b", "c")
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE duly_messages SET event_name = CAST(x'ff' AS TEXT) WHERE id = 'b'"
        )
    batch = await claim(store, _=PAUSED)
    assert (ids(batch), batch.moved) == ([], 2)
    assert [each.id for each in batch.unreadable] == ["b"]
    assert ids(await claim(store)) == ["a", "c"]


async def test_rows_of_messages_that_somebody_has_removed(store: SQLiteStore, path: Path) -> None:
    """As a version does that knows of no sidings, when it cancels."""
    await put(store, "slow", "a", "b", "c")
    assert (await claim(store, _=PAUSED)).moved == 3
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM duly_messages WHERE id = 'b'")
    assert ids(await claim(store)) == ["a", "c"]
    assert (await store.stats()).aside == 0


async def test_one_that_cannot_be_read_comes_out_of_its_siding(
    store: SQLiteStore, path: Path
) -> None:
    await put(store, "slow", "a", "b", "newer")
    assert (await claim(store, _=PAUSED)).moved == 3
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE duly_messages SET metadata = x'80' WHERE id = 'a'")
        connection.execute("UPDATE duly_messages SET format = 99 WHERE id = 'newer'")
    batch = await claim(store)
    assert (ids(batch), [each.id for each in batch.unreadable], batch.newer) == (["b"], ["a"], 1)
    waits = await store.where("newer")
    assert waits is not None
    assert (waits.state, waits.aside) == (State.SCHEDULED, False)


@pytest.mark.parametrize("name", STATEMENTS)
async def test_no_statement_looks_at_every_message(
    store: SQLiteStore, path: Path, name: str
) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = plan(connection, STATEMENTS[name], [None] * STATEMENTS[name].count("?"))
    assert scans(found) == []
    assert "USE TEMP B-TREE" not in " ".join(found)
    if name not in ("STATS", "ANY_ASIDE"):  # which count all, and stop at the first
        assert [step for step in found if step.startswith("SCAN duly_")] == []
