"""Sidings in PostgreSQL: floods, what callers hold, old snapshots, and very many of them."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.stores.postgres_kit import Place

from duly import Message, State, after
from duly.store import PAUSED, SIDINGS, Batch, Group
from duly_postgres import PostgresStore, lines, lining

NOTHING = {"*": PAUSED}
OLD = -3600.0


@pytest.fixture
async def place(postgres_url: str) -> AsyncIterator[Place]:
    place = Place(postgres_url)
    yield place
    await place.execute(*(f"DROP TABLE IF EXISTS {each} CASCADE" for each in place.tables))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


async def put(store: PostgresStore, name: str, *ids: str, seconds: float = OLD) -> None:
    """Store messages of a name, a second apart, the first due so long from now."""
    messages = [
        Message(name, id=id, scheduled_at=after(seconds=seconds + number))
        for number, id in enumerate(ids)
    ]
    assert await store.put([Group(messages)]) == [None]


async def claim(store: PostgresStore, limit: int = 100, **more: Any) -> Batch:
    return await store.claim(limit=limit, lease=timedelta(minutes=5), owner="me", **more)


async def stand_aside(store: PostgresStore) -> int:
    """Move all aside that is due; how many claims it took."""
    claims = 1
    while (batch := await claim(store, most=NOTHING)).more:
        assert not batch.claims
        claims += 1
    return claims


def ids(batch: Batch) -> Sequence[str]:
    return [claim.message.id for claim in batch.claims]


async def drained(store: PostgresStore, limit: int) -> Sequence[str]:
    found: list[str] = []
    while batch := ids(await claim(store, limit)):
        found += batch
    return found


@pytest.fixture
def look_at_ten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten messages are many, so that what is done in a flood is done in these tests."""
    for module in (lines, lining):
        monkeypatch.setattr(module, "LOOKED_AT", 10)


@pytest.mark.usefixtures("look_at_ten")
@pytest.mark.parametrize("most", [{"slow": 0}, {"slow": 1}])
async def test_what_floods_is_looked_past_and_others_come(
    store: PostgresStore, most: dict[str, int]
) -> None:
    many = [f"s{number:02}" for number in range(45)]
    await put(store, "slow", *many)
    await put(store, "urgent", "u1", "u2", seconds=OLD + 30.5)
    found: list[str] = []
    moved = []
    while (batch := await claim(store, 4, most=most)).more:
        found += ids(batch)
        moved.append(batch.moved)
    found += ids(batch)
    assert [id for id in found if id[0] == "u"] == ["u1", "u2"]
    slow = [id for id in found if id[0] == "s"]
    assert slow == many[: len(slow)]
    assert max(moved) <= 10
    assert moved[1] == 10
    assert await drained(store, 7) == many[len(slow) :]


@pytest.mark.usefixtures("look_at_ten")
async def test_a_flood_ends_before_what_is_not_to_be_moved(store: PostgresStore) -> None:
    """A series that was in time, another name, and what must not be passed."""
    await put(store, "slow", *(f"s{number:02}" for number in range(12)))
    await put(store, "other", "o", seconds=OLD + 12)
    await put(store, "slow", *(f"t{number:02}" for number in range(12)), seconds=OLD + 13)
    assert (await claim(store, most={"slow": 0})).moved == 10
    batch = await claim(store, 1, most={"slow": 0})
    assert (ids(batch), batch.moved, batch.more) == (["o"], 2, True)
    batch = await claim(store, most={"slow": PAUSED})
    assert (ids(batch), batch.moved, batch.more, batch.aside) == ([], 10, True, True)
    batch = await claim(store, most={"slow": 0})
    assert (ids(batch), batch.moved, batch.more, batch.aside) == ([], 2, False, True)


@pytest.mark.usefixtures("look_at_ten")
async def test_a_flood_whose_name_flows_again_is_handed_out(store: PostgresStore) -> None:
    await put(store, "slow", *(f"s{number:02}" for number in range(24)))
    assert (await claim(store, most={"slow": 0})).moved == 10
    found = list(ids(await claim(store, 5)))
    found += await drained(store, 5)
    assert found == [f"s{number:02}" for number in range(24)]


@pytest.mark.usefixtures("look_at_ten")
@pytest.mark.parametrize("commits", [True, False])
async def test_what_a_caller_holds_in_a_flood(
    place: Place, store: PostgresStore, commits: bool
) -> None:
    """It waits for the transaction, and nobody waits for it."""
    many = [f"s{number:02}" for number in range(30)]
    await put(store, "slow", *many)
    await put(store, "other", "o", seconds=OLD + 40)
    assert (await claim(store, most={"slow": 0})).moved == 10
    async with place.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        found = await store.cancel(["s14"], within=connection)
        assert list(found) == [State.SCHEDULED]
        came: list[str] = []
        for _ in range(8):
            came += ids(await claim(store, most={"slow": 0}))
        assert came == ["o"]
        await (transaction.commit() if commits else transaction.rollback())
    await stand_aside(store)
    left = [id for id in many if not (commits and id == "s14")]
    assert await drained(store, 8) == left


@pytest.mark.parametrize("commits", [True, False])
async def test_what_a_caller_holds_in_a_siding(
    place: Place, store: PostgresStore, commits: bool
) -> None:
    await put(store, "slow", "a", "b", "c")
    await stand_aside(store)
    async with place.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert list(await store.cancel(["b"], within=connection)) == [State.SCHEDULED]
        batch = await claim(store)
        assert ids(batch) == ["a", "c"]
        await (transaction.commit() if commits else transaction.rollback())
    assert await drained(store, 8) == ([] if commits else ["b"])


async def test_a_siding_has_a_mark_that_what_is_earlier_takes_away(
    place: Place, store: PostgresStore
) -> None:
    """What was taken of it is not looked at again while an old snapshot keeps it."""
    many = [f"s{number:03}" for number in range(300)]
    await put(store, "slow", *many)
    async with place.connection() as connection:
        async with connection.transaction(isolation="repeatable_read"):
            await connection.fetch(f"SELECT FROM {place.table}")
            await stand_aside(store)
            found = [*ids(await claim(store)), *ids(await claim(store))]
            await put(store, "slow", "early", seconds=2 * OLD)
            assert (await claim(store, most=NOTHING)).moved == 1
            assert ids(await claim(store, 1)) == ["early"]
            found += await drained(store, 60)
    assert found == many


async def test_more_sidings_than_a_claim_visits_beside_the_main_line(store: PostgresStore) -> None:
    """A name whose siding was not visited hands nothing out of the main line before that."""
    names = [f"n{number:02}" for number in range(SIDINGS + 16)]
    for name in names:
        await put(store, name, f"{name}.0")
    await stand_aside(store)
    for name in names:
        await put(store, name, f"{name}.1", seconds=-60)
    found = await drained(store, 30)
    assert sorted(found) == sorted(f"{name}.{turn}" for name in names for turn in (0, 1))
    for name in names:
        assert found.index(f"{name}.0") < found.index(f"{name}.1")
