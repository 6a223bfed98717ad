"""Within a caller's own transaction on MongoDB: what may be given, and what comes between."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from tests.servers.mongo import mongo_url
from tests.stores.mongo_kit import Shop, opened

import duly
from duly import DuplicateMessage, InvalidArgument, Message, StoreUnavailable, after

__all__ = ["mongo_url"]  # fixtures are found by their names


@pytest.fixture
async def shop(mongo_url: str) -> AsyncIterator[Shop]:
    async with opened(mongo_url, by_hand=False) as shop:
        yield shop


@pytest.fixture
async def client(shop: Shop) -> AsyncIterator[duly.Client]:
    async with duly.Client(shop.store) as client:
        yield client


@pytest.fixture
async def session(shop: Shop) -> AsyncIterator[Any]:
    async with await shop.client.start_session() as session:
        yield session


def message(id: str, **more: Any) -> Message:
    return Message("event", id=id, scheduled_at=after(hours=1), **more)


@pytest.mark.parametrize("order", ["kept", "dropped"])
async def test_it_happened_if_and_only_if_it_commits(
    shop: Shop, client: duly.Client, session: Any, order: str
) -> None:
    await client.schedule(message("old"))
    await shop.database.orders.insert_one({"_id": "first"})
    session.start_transaction()
    await shop.database.orders.insert_one({"_id": order}, session=session)
    await client.schedule_many([message("a"), message("b")], within=session)
    await client.reschedule("a", after(hours=2), within=session)
    await client.cancel("old", within=session)
    assert [each.id for each in await client.list()] == ["old"]
    if order == "kept":
        await session.commit_transaction()
    else:
        await session.abort_transaction()
    stored = [each.id for each in await client.list()]
    assert stored == (["b", "a"] if order == "kept" else ["old"])


async def test_no_transaction_has_begun(client: duly.Client, session: Any) -> None:
    with pytest.raises(InvalidArgument, match="without a transaction"):
        await client.schedule(message("a"), within=session)
    assert await client.list() == []


async def test_a_session_of_another_client(client: duly.Client, mongo_url: str) -> None:
    other: Any = AsyncIOMotorClient(mongo_url)
    async with await other.start_session() as session:
        session.start_transaction()
        with pytest.raises(InvalidArgument, match="within cannot be used here"):
            await client.schedule(message("a"), within=session)
        await session.abort_transaction()
    other.close()


async def test_what_is_no_session(shop: Shop, client: duly.Client) -> None:
    for within in (shop.client, shop.database, "session"):
        with pytest.raises(InvalidArgument, match="it takes a session of Motor's or of PyMongo's"):
            await client.schedule(message("a"), within=within)
        with pytest.raises(InvalidArgument, match="within must be a session"):
            await shop.store.cancel(["a"], within=within)


async def test_a_duplicate_does_not_end_it(client: duly.Client, session: Any) -> None:
    await client.schedule(message("taken"))
    async with session.start_transaction():
        with pytest.raises(DuplicateMessage):
            await client.schedule(message("taken"), within=session)
        await client.schedule(message("a"), within=session)
    assert [each.id for each in await client.list()] == ["taken", "a"]


async def test_somebody_else_comes_between(client: duly.Client, session: Any) -> None:
    """The transaction is lost; a second attempt finds what the other one did."""
    await client.schedule(message("a"))
    session.start_transaction()
    assert (await client.get("a")).id == "a"
    await client.schedule(message("b"), within=session)
    assert await client.cancel("a")
    with pytest.raises(StoreUnavailable, match="roll back and do it again"):
        await client.schedule(message("a"), replace=True, within=session)
    if session.in_transaction:
        await session.abort_transaction()
    assert await client.list() == []


async def test_an_id_that_somebody_else_takes_meanwhile(client: duly.Client, session: Any) -> None:
    session.start_transaction()
    await client.schedule(message("x"), within=session)
    await client.schedule(message("a"))
    with pytest.raises((StoreUnavailable, DuplicateMessage)):
        await client.schedule(message("a"), within=session)
    if session.in_transaction:
        await session.abort_transaction()
    assert [each.id for each in await client.list()] == ["a"]
