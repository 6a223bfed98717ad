"""Notes and takeovers in MongoDB: the documents, and what may go on beside them."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from tests.servers.mongo import lone_mongo_url, mongo_url
from tests.stores.mongo_kit import Shop, opened

from duly import InvalidArgument, Message, StoreError, StoreUnavailable
from duly.store import Batch, Group, Settle
from duly_mongo import settling, takeover
from duly_mongo.namespace import Namespace

__all__ = ["lone_mongo_url", "mongo_url"]  # fixtures are found by their names

LEASE = timedelta(minutes=5)
OWNER = "orders-0"


@pytest.fixture(params=["mongo_url", "lone_mongo_url"], ids=["replica set", "alone"])
def url(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


@pytest.fixture
async def shop(url: str) -> AsyncIterator[Shop]:
    async with opened(url) as shop:
        yield shop


def notes(shop: Shop) -> Any:
    return shop.database["messages.notes"]


async def put(shop: Shop, *ids: str) -> None:
    assert shop.clock is not None
    groups = [Group([Message("event", id=id, scheduled_at=shop.clock())]) for id in ids]
    assert [*await shop.store.put(groups)] == [None] * len(ids)


async def claim(shop: Shop, limit: int = 100, owner: str = OWNER) -> Batch:
    return await shop.store.claim(limit=limit, lease=LEASE, owner=owner)


def back(batch: Batch) -> Sequence[tuple[str, int]]:
    return [(claim.message.id, claim.lapses) for claim in batch.claims]


async def test_the_documents_are_as_the_page_tells(shop: Shop) -> None:
    first = await shop.store.write_note("a", b"1", None)
    second = await shop.store.write_note("a", b"2\xff", first)
    found = [each async for each in notes(shop).find()]
    assert found == [{"_id": "a", "value": b"2\xff", "revision": second}]
    assert await shop.store.write_note("a", None, second) is not None
    assert await notes(shop).count_documents({}) == 0


async def test_what_each_verb_asks_of_the_server(shop: Shop) -> None:
    shop.asked.take()
    first = await shop.store.write_note("a", b"1", None)
    second = await shop.store.write_note("a", b"2", first)
    assert shop.asked.take() == ["insert", "update"]
    assert await shop.store.read_note("a") is not None
    assert list(await shop.store.notes("")) == ["a"]
    assert shop.asked.take() == ["aggregate", "aggregate"]
    assert await shop.store.write_note("a", None, second) is not None
    assert await shop.store.write_note("a", None, None) is not None
    assert shop.asked.take() == ["delete", "find"]
    await put(shop, "a", "b")
    await claim(shop, 1)
    await claim(shop, 1)
    shop.asked.take()
    assert await shop.store.lapse("nobody") == 0
    assert shop.asked.take() == ["find"]
    assert await shop.store.lapse(OWNER) == 2
    rousing = ["update"] if shop.store._parts and shop.store._parts.space.transactional else []
    assert shop.asked.take() == ["find", "find", "find", "update", "update", *rousing]


async def test_documents_of_somebody_else_are_no_notes(shop: Shop) -> None:
    await shop.store.write_note("a", b"1", None)
    await notes(shop).insert_many(
        [{"_id": 7}, {"_id": "b"}, {"_id": "c", "value": "text", "revision": "x"}]
    )
    assert list(await shop.store.notes("")) == ["a"]
    assert await shop.store.read_note("b") is None
    assert await shop.store.write_note("b", b"1", None) is None


async def test_the_ends_of_what_begins_alike(shop: Shop) -> None:
    """Behind the last letter before the surrogates, and behind the last there is."""
    names = ["\ud7ff", "\ud7ff1", "\ue000", "z\U0010ffff", "z\U0010ffff1", "{", "\U0010ffff", "z"]
    for name in names:
        await shop.store.write_note(name, b"1", None)
    for prefix in ("\ud7ff", "z", "z\U0010ffff", "\U0010ffff", "\U0010ffff\U0010ffff", ""):
        wanted = sorted(name for name in names if name.startswith(prefix))
        assert list(await shop.store.notes(prefix)) == wanted, prefix


async def test_names_that_nothing_can_have(shop: Shop) -> None:
    assert await shop.store.read_note("\ud800") is None
    assert await shop.store.notes("\ud800") == {}
    assert await shop.store.lapse("\ud800") == 0
    with pytest.raises(InvalidArgument):
        await shop.store.write_note("\ud800", b"1", None)


async def test_a_capped_collection_of_that_name_is_refused(shop: Shop) -> None:
    await shop.database.create_collection("messages.notes", capped=True, size=10_000)
    with pytest.raises(StoreError, match=r"messages\.notes is not a plain collection"):
        await shop.another().open()


async def test_a_settle_that_has_begun_goes_on(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it settles is held no more; the rest of its lease is, and comes back."""
    await put(shop, "a", "b", "c")
    batch = await claim(shop)
    work = settling._work
    counts: list[int] = []

    async def interrupted(*given: Any) -> bool:
        if not counts:
            counts.append(await shop.store.lapse(OWNER))
        assert back(await claim(shop, owner="heir")) == []
        return await work(*given)

    monkeypatch.setattr(settling, "_work", interrupted)
    settle = Settle(batch.token or "", only=[batch.claims[0].key])
    assert list(await shop.store.settle([settle])) == [True]
    assert counts == [2]
    assert list(await shop.store.settle([Settle(batch.token or "")])) == [False]
    assert back(await claim(shop, owner="heir")) == [("b", 1), ("c", 1)]


async def test_settled_while_it_is_looked_at(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at again, and what was settled is not counted."""
    await put(shop, "a", "b", "c", "d")
    part, whole = await claim(shop, 2), await claim(shop, 2)
    early = Settle(part.token or "", only=[part.claims[0].key])
    settles, find = [early, Settle(whole.token or "")], Namespace.find

    async def meanwhile(space: Namespace, *given: Any, **more: Any) -> Any:
        found = await find(space, *given, **more)
        if settles:
            some = [*settles]
            settles.clear()
            assert list(await shop.store.settle(some)) == [True, True]
        return found

    monkeypatch.setattr(Namespace, "find", meanwhile)
    assert await shop.store.lapse(OWNER) == 1
    assert back(await claim(shop, owner="heir")) == [("b", 1)]


async def test_a_statement_that_began_before_comes_too_late(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the server it is earlier then than the end of the lease."""
    await put(shop, "a")
    batch = await claim(shop)
    assert shop.clock is not None
    shop.clock.advance(seconds=2)
    assert await shop.store.lapse(OWNER) == 1
    shop.clock.set(shop.clock() - timedelta(seconds=1))
    assert await shop.store.lapse(OWNER) == 0
    assert list(await shop.store.renew([batch.token or ""], LEASE)) == [None]
    assert list(await shop.store.settle([Settle(batch.token or "")])) == [False]
    shop.clock.advance(seconds=1)
    assert back(await claim(shop, owner="heir")) == [("a", 1)]


async def test_settled_all_the_time(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """That may work again, and says so."""
    await put(shop, "a")
    await claim(shop)

    async def busy(_: Namespace, tokens: Sequence[str]) -> tuple[int, Sequence[str]]:
        return 0, tokens

    monkeypatch.setattr(takeover, "_end", busy)
    with pytest.raises(StoreUnavailable):
        await shop.store.lapse(OWNER)


async def test_nothing_is_left_of_waking_those_who_wait(shop: Shop) -> None:
    await put(shop, "a")
    before = await shop.messages.find_one({"_id": "a"})
    await claim(shop)
    await shop.store.lapse(OWNER)
    batch = await claim(shop, owner="heir")
    assert back(batch) == [("a", 1)]
    found = await shop.messages.find_one({"_id": "a"})
    assert found.keys() == {*before, "token"}
