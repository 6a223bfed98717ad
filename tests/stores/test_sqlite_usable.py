"""Code that has become too old for the schema while it was running."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from tests.stores.test_sqlite_signals import MINUTE, group, path, store

import duly
from duly import Filter, StoreError, StoreUnavailable
from duly.store import Settle
from duly_sqlite import SQLiteStore, usable

__all__ = ["path", "store"]  # fixtures are found by their names


def move_on(path: Path, version: int) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE duly_schema SET usable_from = ?", (version,))


async def test_it_claims_and_schedules_no_more(
    store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usable, "_EVERY", 0.0)
    await store.put([group("a", "b")])
    batch = await store.claim(limit=1, lease=MINUTE, owner="me")
    move_on(path, 99)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for ask in (
            store.claim(limit=1, lease=MINUTE, owner="me"),
            store.put([group("c")]),
            store.put([group("c")], within=connection),
            store.cancel(["b"]),
            store.get("b"),
            store.list(Filter(), within=connection),
            store.stats(),
        ):
            with pytest.raises(StoreError, match="usable from version 99 on") as caught:
                await ask
            assert not isinstance(caught.value, StoreUnavailable)
        assert not connection.in_transaction
    health = await duly.Client(store).health()
    assert health.status is duly.Status.UNHEALTHY
    assert "usable from version 99 on" in health.reason
    # What is in hand is settled all the same.
    assert batch.token is not None
    assert await store.renew([batch.token], MINUTE) == [[]]
    settling = [Settle(batch.token)]
    empty = await store.claim(limit=1, lease=MINUTE, owner="me", settle=settling)
    assert (list(empty.claims), empty.token, empty.more) == ([], None, False)
    assert list(empty.settled) == [True]
    assert await store.settle(settling) == [False]
    move_on(path, 1)
    assert [each.id for each in await store.list(Filter())] == ["b"]


async def test_it_is_looked_at_within_a_minute() -> None:
    assert usable._EVERY <= 60 - 10  # at most a nap and a call come on top
