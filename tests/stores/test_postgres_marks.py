"""Where a claim that follows a full batch starts, and what is found all the same."""

from collections.abc import Sequence
from datetime import timedelta

from tests.stores.postgres_kit import Place, place

from duly import Message, after
from duly.store import Group
from duly_postgres import PostgresStore
from duly_postgres.claiming import Mark

__all__ = ["place"]


def batch_of(count: int, prefix: str) -> Sequence[Message]:
    moment = after(hours=-1)
    return [
        Message("event", id=f"{prefix}-{n}", scheduled_at=moment + timedelta(microseconds=n))
        for n in range(count)
    ]


async def claim(store: PostgresStore, *, limit: int) -> Sequence[str]:
    batch = await store.claim(limit=limit, lease=timedelta(minutes=5), owner="test")
    return [each.message.id for each in batch.claims]


async def test_what_comes_in_late_is_found_by_the_next_full_look(place: Place) -> None:
    now = 0.0
    async with place.opened() as store, place.opened() as other:
        store._mark = Mark(lambda: now)
        await store.put([Group(batch_of(400, "first"))])
        assert len(await claim(store, limit=100)) == 100
        old = Message("event", id="old", scheduled_at=after(days=-1))
        await other.put([Group([old])])
        now = 0.9
        assert "old" not in await claim(store, limit=100)
        now = 1.0
        assert "old" in await claim(store, limit=100)


async def test_what_the_same_store_puts_in_is_found_at_once(place: Place) -> None:
    async with place.opened() as store:
        store._mark = Mark(lambda: 0.0)
        await store.put([Group(batch_of(400, "first"))])
        assert len(await claim(store, limit=100)) == 100
        old = Message("event", id="old", scheduled_at=after(days=-1))
        await store.put([Group([old])])
        assert "old" in await claim(store, limit=100)
