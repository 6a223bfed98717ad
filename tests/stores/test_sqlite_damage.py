"""Rows that somebody else wrote into the file: whatever is in them, the rest flows."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from duly import Filter, Message, State
from duly.message import UNREADABLE
from duly.recurrence import Every
from duly.store import Bury, Group, Settle
from duly_sqlite import SQLiteStore

START = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

DAMAGES = [
    "format = 0",
    "format = 'one'",
    "event_name = CAST(x'ff' AS TEXT)",
    "event_name = x'00'",
    "payload = 'text'",
    "payload = 7",
    "metadata = x'80'",
    "metadata = '[]'",
    "metadata = 7",
    "created_at = 9999999999999, expires_at = 'never'",
    "given_at = 'once'",
    "expires_at = 9223372036854775807",
    "recurrence = '{'",
    "recurrence = CAST(x'ff' AS TEXT)",
    "recurrence = x'ff'",
    "next_attempt_at = 'soon'",
    "next_attempt_at = 1.5e300",
    "retry_count = 'many'",
    "occurrence_count = x''",
    "last_error = x'ff'",
    "last_error = CAST(x'ff' AS TEXT)",
    "delivery_id = x'ff'",
    "trace_context = x'ff'",
    "trace_context = 'null'",
]

REFUSED = [
    "id = NULL",
    "id = x'62'",
    "scheduled_at = NULL",
    "scheduled_at = 'soon'",
    "scheduled_at = 9223372036854775807",
    "created_at = 'once'",
    "due_at = 0.5",
    "lapses = 'few'",
    "dead = 3",
    "dead = NULL",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "orders.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SQLiteStore]:
    store = SQLiteStore(path, clock=lambda: START)
    await store.open()
    messages = [Message("event", id=id, payload=b"data", scheduled_at=START) for id in "abc"]
    await store.put([Group(messages)])
    yield store
    await store.close()


def write(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def damage(path: Path, what: str) -> None:
    write(path, f"UPDATE duly_messages SET {what} WHERE id = 'b'")  # one of the above


@pytest.mark.parametrize("what", DAMAGES)
async def test_set_aside_listed_and_purged(store: SQLiteStore, path: Path, what: str) -> None:
    damage(path, what)
    before = await store.list(Filter())
    assert len(before) == 3
    assert [each.event_name for each in before].count(UNREADABLE) == 1
    batch = await store.claim(limit=9, lease=MINUTE, owner="me")
    assert [claim.message.id for claim in batch.claims] == ["a", "c"]
    (found,) = batch.unreadable
    assert found in before
    assert (found.state, found.event_name, found.scheduled_at) == (State.DEAD, UNREADABLE, START)
    assert await store.settle([Settle(batch.token or "")]) == [True]
    for filter in (Filter(), Filter(state=State.DEAD), Filter(event_name=UNREADABLE)):
        assert list(await store.list(filter)) == [found]
    assert await store.list(Filter(event_name=UNREADABLE, state=State.SCHEDULED)) == []
    assert await store.get(found.id) == found
    assert await store.cancel([found.id], of_state=State.DEAD) == [State.DEAD]
    assert await store.list(Filter()) == []


async def test_an_id_that_is_no_text_is_replaced(store: SQLiteStore, path: Path) -> None:
    damage(path, "id = CAST(x'62ff' AS TEXT)")
    (before,) = [each for each in await store.list(Filter()) if each.event_name == UNREADABLE]
    batch = await store.claim(limit=9, lease=MINUTE, owner="me")
    assert [claim.message.id for claim in batch.claims] == ["a", "c"]
    assert [each.id for each in batch.unreadable] == [before.id]
    (found,) = await store.list(Filter(state=State.DEAD))
    assert (found.id, found.payload) == (before.id, b"data")
    assert await store.reschedule(found.id, None, of_state=State.DEAD) is State.DEAD
    batch = await store.claim(limit=9, lease=MINUTE, owner="me")
    assert [claim.message.id for claim in batch.claims] == [before.id]


async def test_the_id_in_its_place_may_be_taken(store: SQLiteStore, path: Path) -> None:
    damage(path, "id = CAST(x'62ff' AS TEXT)")
    (before,) = [each for each in await store.list(Filter()) if each.event_name == UNREADABLE]
    taken = [before.id, f"{before.id}+"]
    await store.put([Group([Message("event", id=id, scheduled_at=START) for id in taken])])
    batch = await store.claim(limit=9, lease=MINUTE, owner="me")
    assert [claim.message.id for claim in batch.claims] == ["a", "c", *taken]
    assert [each.id for each in batch.unreadable] == [f"{before.id}++"]
    assert [each.id for each in await store.list(Filter(state=State.DEAD))] == [f"{before.id}++"]


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_schema_refuses(store: SQLiteStore, path: Path, what: str) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        damage(path, what)


async def test_pages_go_past_what_cannot_be_read(store: SQLiteStore, path: Path) -> None:
    damage(path, "metadata = x'80'")
    seen: list[str] = []
    from_key = None
    while page := await store.list(Filter(limit=1), from_key=from_key):
        seen += [message.id for message in page]
        from_key = (page[-1].scheduled_at, page[-1].id)
        assert len(seen) <= 3
    assert seen == ["a", "b", "c"]


async def test_a_message_whose_row_was_removed(store: SQLiteStore, path: Path) -> None:
    write(path, "DELETE FROM duly_messages")
    batch = await store.claim(limit=2, lease=MINUTE, owner="me")
    assert (list(batch.claims), batch.more, batch.next_due) == ([], False, None)


async def test_a_series_damaged_while_it_is_claimed_and_buried(
    store: SQLiteStore, path: Path
) -> None:
    message = Message("event", id="b", scheduled_at=START, recurrence=Every(MINUTE))
    await store.put([Group([message], replace=True)])
    batch = await store.claim(limit=9, lease=MINUTE, owner="me")
    damage(path, "metadata = x'80'")
    (key,) = [claim.key for claim in batch.claims if claim.message.id == "b"]
    assert await store.settle([Settle(batch.token or "", {key: Bury("broken")})]) == [True]
    (found,) = await store.list(Filter())
    assert (found.id, found.event_name, found.state) == ("b", UNREADABLE, State.DEAD)
    assert (await store.stats()).dead == 1
