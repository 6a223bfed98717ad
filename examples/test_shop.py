"""The tests of shop.py. ``python -m pytest test_shop.py``; needs pytest and pytest-asyncio too."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest
import shop

import duly
from duly.testing import FakeStore, assert_not_scheduled, assert_scheduled

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(shop, "FILE", str(tmp_path / "shop.db"))
    return tmp_path / "shop.db"


async def test_an_order_that_is_not_paid_is_reminded_of(capsys: pytest.CaptureFixture[str]) -> None:
    store, db = FakeStore(), shop.orders()
    scheduler = duly.Scheduler(store, shop.transport)
    await shop.place(scheduler, db, 17)
    await shop.place(scheduler, db, 18)
    assert_scheduled(await scheduler.list(), shop.unpaid, order=17)
    assert await shop.pay(scheduler, db, 18)
    assert_not_scheduled(await scheduler.list(), shop.unpaid, order=18)
    db.close()
    await scheduler.drain(until=store.after(seconds=shop.PATIENCE))
    assert capsys.readouterr().out == "order 17 is not paid yet\n"


async def test_what_is_paid_at_the_last_moment_is_not_reminded_of(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store, db = FakeStore(), shop.orders()
    scheduler = duly.Scheduler(store, shop.transport)
    await shop.place(scheduler, db, 17)
    with db:
        db.execute("UPDATE orders SET paid = 1")  # as where cancel() is TOO_LATE
    db.close()
    assert len(await scheduler.drain(until=store.after(seconds=shop.PATIENCE))) == 1
    assert not capsys.readouterr().out


async def test_there_is_no_reminder_without_its_order(file: Path) -> None:
    """Whether a transaction holds both only the real store can show."""
    async with duly.Client(f"sqlite:///{file}") as client:
        db = shop.orders()
        await shop.place(client, db, 17)
        with pytest.raises(sqlite3.IntegrityError):
            await shop.place(client, db, 17)  # there is that order already
        db.execute("DELETE FROM orders")  # which is rolled back with what follows
        with pytest.raises(duly.DuplicateMessage):
            await shop.place(client, db, 17)  # there is that reminder already
        assert db.execute("SELECT id FROM orders").fetchall() == [(17,)]
        assert len(await client.list()) == 1
        db.close()


async def test_each_tenant_has_a_report_every_night(capsys: pytest.CaptureFixture[str]) -> None:
    store = FakeStore(now=datetime(2030, 1, 1, 12, tzinfo=UTC))
    scheduler = duly.Scheduler(store, shop.transport)
    for _ in range(2):  # at each start of a process
        await scheduler.declare(shop.reports(), by="shop", generation=1)
    await scheduler.drain(until=store.after(days=2))
    lines = capsys.readouterr().out.splitlines()
    assert sorted(lines) == sorted(2 * [f"the report of {tenant}" for tenant in shop.TENANTS])
