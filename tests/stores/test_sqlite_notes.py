"""Notes in a file: of a version under way, of several processes, and by index."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.stores.test_sqlite_plans import plan
from tests.stores.test_sqlite_processes import line, start
from tests.stores.test_sqlite_signals import MINUTE

from duly import Message, StoreError, after
from duly.store import Group
from duly_sqlite import SQLiteStore, notes, sql_schema

STATEMENTS = {
    name: text
    for name, text in vars(notes).items()
    if isinstance(text, str) and text.startswith(("SELECT", "DELETE", "INSERT", "UPDATE"))
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


def execute(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


async def test_a_file_without_the_table_gets_it(path: Path) -> None:
    """A version under way has made it."""
    await (store := SQLiteStore(path)).open()
    await store.close()
    execute(path, "DROP TABLE duly_notes")
    assert await store.migrate(dry_run=True) == (sql_schema.MAKE_NOTES,)
    await store.open()
    assert await store.write_note("a", b"1", None) is not None
    assert list(await store.notes("")) == ["a"]
    await store.close()
    assert await store.migrate(dry_run=True) == ()


@pytest.mark.parametrize("there", [True, False], ids=["beside ours", "alone"])
async def test_a_table_of_somebody_else_is_refused(path: Path, *, there: bool) -> None:
    if there:
        await (store := SQLiteStore(path)).open()
        await store.close()
        execute(path, "DROP TABLE duly_notes")
    execute(path, "CREATE TABLE duly_notes (title TEXT)")
    with pytest.raises(StoreError, match="duly_notes|no such column"):
        await SQLiteStore(path).open()


@pytest.mark.parametrize("name", STATEMENTS)
async def test_notes_are_found_by_their_names(store: SQLiteStore, path: Path, name: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        found = plan(connection, STATEMENTS[name], [None] * STATEMENTS[name].count("?"))
    assert all(step.startswith("SEARCH duly_notes USING") for step in found), found


async def test_processes_count_together(store: SQLiteStore, path: Path) -> None:
    counters = [await start("count", path, "50") for _ in range(3)]
    for each in counters:
        assert await line(each) == "ready"
    for each in counters:
        assert each.stdin is not None
        each.stdin.write(b"go\n")
    await asyncio.gather(*(each.communicate() for each in counters))
    note = await store.read_note("count")
    assert note is not None
    assert note.value == b"150"


async def test_a_note_of_another_process_makes_no_change_unseen(
    store: SQLiteStore, path: Path
) -> None:
    await store.changed()
    other = await start("count", path, "1")
    assert await line(other) == "ready"
    assert await store.put([Group([Message("event", id="a", scheduled_at=after())])]) == [None]
    await other.communicate(b"go\n")
    put = await start("put", path, "b")
    assert await line(put) == "stored"
    await put.wait()
    assert await store.changed()


async def test_what_a_dead_process_held_is_taken_over(store: SQLiteStore, path: Path) -> None:
    assert await store.put([Group([Message("event", id="a", scheduled_at=after())])]) == [None]
    holder = await start("keep", path)
    assert await line(holder) == "1"
    holder.kill()
    await holder.wait()
    assert not (await store.claim(limit=9, lease=MINUTE, owner="me")).claims
    assert await store.lapse("keeper") == 1
    (claim,) = (await store.claim(limit=9, lease=MINUTE, owner="me")).claims
    assert (claim.message.id, claim.lapses) == ("a", 1)
