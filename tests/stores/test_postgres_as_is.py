"""Groups that are stored as they are: in a caller's transaction, with any text, beside others."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine
from tests.stores.postgres_kit import START, Place, due, group, place

from duly import DuplicateMessage, Filter, Message, State, after
from duly.message import with_changes
from duly.store import Group, HeldUp
from duly_postgres import PostgresStore

__all__ = ["place"]


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


def dead(id: str, **fields: object) -> Message:
    death = {"state": State.DEAD, "last_error": "broken", "error_class": "X", "died_at": START}
    return with_changes(group(id).messages[0], **death | fields)


def postponed(id: str) -> Message:
    return with_changes(
        group(id).messages[0],
        next_attempt_at=after(hours=1),
        retry_count=2,
        occurrence_count=3,
        last_error="broken",
        postpone_count=4,
        _put_back=True,
    )


async def assert_stored(store: PostgresStore, *messages: Message) -> None:
    found = await store.list(Filter())
    assert found == sorted(messages, key=lambda each: (each.scheduled_at, each.id))
    died = {each.id: each.died_at for each in found}
    assert died == {each.id: each.died_at for each in messages}


@pytest.mark.parametrize("replace", [False, True], ids=["new", "replace"])
async def test_in_a_transaction_of_asyncpg(
    store: PostgresStore, place: Place, replace: bool
) -> None:
    wanted = [dead("a"), postponed("b")]
    if replace:
        await store.put([group("a"), due("b")])
    async with place.connection() as connection, connection.transaction():
        groups = [Group(wanted, replace, as_is=True)]
        assert await store.put(groups, within=connection) == [None]
        assert await store.get("a", within=connection) == wanted[0]
    await assert_stored(store, *wanted)
    stats = await store.stats()
    assert (stats.scheduled, stats.dead) == (1, 1)


async def test_in_a_transaction_of_sqlalchemy(store: PostgresStore, place: Place) -> None:
    wanted = [dead("a"), postponed("b")]
    engine = create_async_engine(place.url.replace("postgresql:", "postgresql+asyncpg:"))
    async with engine.begin() as connection:
        assert await store.put([Group(wanted, as_is=True)], within=connection) == [None]
    await engine.dispose()
    await assert_stored(store, *wanted)


async def test_beside_others_in_one_call(store: PostgresStore) -> None:
    await store.put([group("taken")])
    new, kept = with_changes(postponed("new"), created_at=START), dead("kept")
    outcomes = await store.put(
        [
            Group([new]),
            Group([kept, postponed("postponed")], as_is=True),
            Group([dead("taken"), dead("neither")], as_is=True),
        ]
    )
    assert [type(each) for each in outcomes] == [type(None), type(None), DuplicateMessage]
    states = {each.id: (each.state, each.postpone_count) for each in await store.list(Filter())}
    assert states == {
        "new": (State.SCHEDULED, 0),
        "kept": (State.DEAD, 0),
        "postponed": (State.SCHEDULED, 4),
        "taken": (State.SCHEDULED, 0),
    }


@pytest.mark.parametrize("within", [False, True], ids=["alone", "within"])
async def test_errors_that_postgresql_cannot_hold(
    store: PostgresStore, place: Place, within: bool
) -> None:
    letter = dead("a", last_error="a\0b", error_class="c\ud800")
    async with place.connection() as connection, connection.transaction():
        groups = [Group([letter], as_is=True)]
        assert await store.put(groups, within=connection if within else None) == [None]
    found = await store.get("a")
    assert found is not None
    assert (found.last_error, found.error_class) == ("a\ufffdb", "c?")


async def test_past_what_somebody_holds(
    store: PostgresStore, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with place.connection() as connection, connection.transaction():
        await store.put([group("a")], within=connection)
        groups = [Group([dead("a")], as_is=True), Group([dead("b")], as_is=True)]
        held, stored = await store.put(groups)
        assert (type(held), stored) == (HeldUp, None)
    with pytest.raises(asyncpg.UniqueViolationError):
        await place.execute("INSERT INTO {t} SELECT * FROM {t} WHERE id = 'b'")
    assert (await store.stats()).dead == 1


async def test_nothing_at_all(store: PostgresStore) -> None:
    assert await store.put([Group([], as_is=True)]) == [None]
    assert await store.put([]) == []


async def test_who_sleeps_is_told_of_what_waits_alone(store: PostgresStore) -> None:
    told = list[None]()
    store._desk.notifier.tell = lambda: told.append(None)  # type: ignore[method-assign]  # a spy
    letter = dead("a", next_attempt_at=after(hours=-1))
    await store.put([Group([letter], as_is=True)])
    assert told == []
    await store.put([Group([with_changes(due("b").messages[0], retry_count=1)], as_is=True)])
    assert told == [None]
