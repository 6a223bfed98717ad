"""Where a message is, beside notes of what is to become of it, and what it costs to ask."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from tests.stores.postgres_kit import Place, due, place
from tests.stores.test_postgres_plans import direct, fill, plan, scans, steps

from duly import State, Whereabouts, after
from duly.store import Batch, Bury, Counters, Release, Reschedule, Settle, Settlement
from duly_postgres import PostgresStore, desk, sql_storing

__all__ = ["direct", "place"]  # fixtures are found by their names

MINUTE = timedelta(minutes=1)
LATER = after(hours=1)
OUTCOMES: Mapping[str, Settlement | None] = {
    "delivered": None,
    "released": Release(LATER),
    "retried": Reschedule(LATER, Counters(LATER, retry_count=1)),
    "buried": Bury("broken"),
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_BRIEF", "BRIEF"):
        monkeypatch.setattr(desk, name, timedelta(milliseconds=20))


@pytest.fixture
async def store(place: Place) -> AsyncIterator[PostgresStore]:
    async with place.opened() as store:
        yield store


async def claim(store: PostgresStore, owner: str = "me", *, limit: int = 9) -> Batch:
    return await store.claim(limit=limit, lease=MINUTE, owner=owner)


async def where(store: PostgresStore, id: str) -> Whereabouts:
    found = await store.where(id)
    assert found is not None
    return found


@asynccontextmanager
async def held(place: Place) -> AsyncIterator[None]:
    """Somebody's transaction holds the message "a" for the block."""
    async with place.connection() as connection, connection.transaction():
        await connection.execute(f"SELECT FROM {place.table} WHERE id = 'a' FOR UPDATE")
        yield


class TestNoted:
    @pytest.mark.parametrize("kind", OUTCOMES)
    async def test_nobody_has_what_is_settled_and_noted(
        self, store: PostgresStore, place: Place, kind: str
    ) -> None:
        outcome = OUTCOMES[kind]
        await store.put([due("a", "b")])
        batch = await claim(store)
        exceptions = {} if outcome is None else {batch.claims[0].key: outcome}
        async with held(place):
            assert (await where(store, "a")).owner == "me"
            assert await store.settle([Settle(batch.token or "", exceptions)]) == [True]
            assert await where(store, "a") == Whereabouts(state=State.CLAIMED)
            assert await store.where("b") is None
        await claim(store)
        found = await store.where("a")
        if outcome is None:
            assert found is None
        elif isinstance(outcome, Bury):
            assert found == Whereabouts(state=State.DEAD)
        else:
            assert found == Whereabouts(state=State.SCHEDULED, due_at=LATER)

    async def test_nor_what_has_lapsed_meanwhile(self, store: PostgresStore, place: Place) -> None:
        await store.put([due("a")])
        await store.claim(limit=1, lease=timedelta(0), owner="me")
        async with held(place):
            assert not (await claim(store)).claims
            assert await where(store, "a") == Whereabouts(state=State.CLAIMED)
        assert [each.lapses for each in (await claim(store, "other")).claims] == [1]
        found = await where(store, "a")
        assert (found.owner, found.lapses) == ("other", 1)

    async def test_nor_what_a_later_version_has_noted(
        self, store: PostgresStore, place: Place
    ) -> None:
        """In a lease that ends before those of the notes that this version can read."""
        await store.put([due("a")])
        await claim(store)
        await place.execute(
            "UPDATE {t}_leases SET outcome = 'of later', expires_at = '9999-12-31 23:59:30+00'"
        )
        assert await where(store, "a") == Whereabouts(state=State.CLAIMED)

    async def test_asking_waits_for_nobody(self, store: PostgresStore, place: Place) -> None:
        await store.put([due("a", "b")])
        await claim(store, limit=1)
        async with held(place):
            assert (await where(store, "a")).owner == "me"
            assert (await where(store, "b")).state is State.SCHEDULED


async def test_several_stores_tell_the_same(store: PostgresStore, place: Place) -> None:
    ids = ["a", "b", "c"]
    async with place.opened() as second, place.opened() as third:
        stores = [store, second, third]
        await store.put([due(*ids)])
        for number, each in enumerate(stores):
            await claim(each, f"host:{number}", limit=1)
        for each in stores:
            owners = [(await where(each, id)).owner for id in ids]
            assert owners == ["host:0", "host:1", "host:2"]


async def looked(connection: asyncpg.Connection, place: Place, id: str) -> list[dict[str, Any]]:
    """The steps by which it was found where one is, with how often each was taken."""
    await connection.execute(f"PREPARE asked AS {place.names(sql_storing.WHERE)}")
    try:
        found = await connection.fetchval(
            f"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) EXECUTE asked ('{id}')"
        )
    finally:
        await connection.execute("DEALLOCATE asked")
    return [*steps(json.loads(found)[0]["Plan"])]


async def test_leases_are_read_only_for_what_is_claimed(
    direct: asyncpg.Connection, place: Place
) -> None:
    await fill(direct, place, 2000, "now()")
    explained = await plan(direct, place.names(sql_storing.WHERE))
    assert scans(explained, place) == []
    async with place.opened() as store:
        (first, *_) = (await claim(store, limit=1)).claims
        waiting = await direct.fetchval(
            f"SELECT m.id FROM {place.table} m JOIN {place.table}_due d ON d.key = m.key LIMIT 1"
        )
        for id, times in ((waiting, 0), (first.message.id, 1)):
            taken = await looked(direct, place, id)
            (leases,) = [
                each for each in taken if each.get("Relation Name") == f"{place.table}_leases"
            ]
            assert leases["Actual Loops"] == times
