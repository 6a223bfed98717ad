"""MongoDB servers that refuse, are too old, have no primary, or are told how safe to be."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pymongo import AsyncMongoClient, WriteConcern
from tests.servers.mongo import MongoServer, mongo_url
from tests.servers.mongo_impostor import impostor
from tests.stores.mongo_kit import COLLECTION, DATABASE, Shop, opened

import duly
from duly import Message, StoreError, StoreUnavailable, after
from duly_mongo import MongoStore
from duly_mongo.clients import store_from_url
from duly_mongo.namespace import concern_of
from duly_mongo.schema import INDEXES

__all__ = ["mongo_url"]  # fixtures are found by their names


@pytest.fixture
async def shop(mongo_url: str) -> AsyncIterator[Shop]:
    async with opened(mongo_url, by_hand=False) as shop:
        yield shop


@pytest.fixture(scope="module")
def guarded() -> Iterator[str]:
    """The host and port of a server that wants to know who is there."""
    with MongoServer(alone=True) as server:  # members of sets would need a key as well
        with server.direct() as client:
            for user, role in (("ada", "readWrite"), ("reader", "read")):
                roles = [{"role": role, "db": "shop"}]
                client.shop.command("createUser", user, pwd="sesame", roles=roles)
        server.stop()
        server._settings = ("--auth",)
        server.start()
        yield f"127.0.0.1:{server.port}"


class TestCredentials:
    async def test_right_ones(self, guarded: str) -> None:
        async with duly.Client(f"mongodb://ada:sesame@{guarded}/shop") as client:
            await client.schedule(Message("event", id="a", scheduled_at=after(hours=1)))
            assert await client.cancel("a")

    async def test_a_wrong_password(self, guarded: str) -> None:
        store = store_from_url(f"mongodb://ada:guess@{guarded}/shop")
        with pytest.raises(StoreError, match="user name or the password is wrong") as caught:
            await store.open()
        assert not isinstance(caught.value, StoreUnavailable)
        assert "guess" not in str(caught.value)

    async def test_none_at_all(self, guarded: str) -> None:
        with pytest.raises(StoreError, match="readWrite"):
            await store_from_url(f"mongodb://{guarded}/shop").open()


class TestReachable:
    async def test_nobody_answers(self) -> None:
        store = store_from_url("mongodb://127.0.0.1:9/shop?serverSelectionTimeoutMS=300")
        with pytest.raises(StoreUnavailable, match="nobody answers"):
            await store.open()

    @pytest.mark.parametrize("version", [4, 8])  # which the driver refuses, or we do
    async def test_too_old(self, version: int) -> None:
        hello = {"isWritablePrimary": True, "ismaster": True, "maxWireVersion": version}
        async with impostor(**hello) as url:
            store = store_from_url(f"{url}/shop?serverSelectionTimeoutMS=2000")
            with pytest.raises(StoreError, match=r"too old: duly needs MongoDB 4\.4") as caught:
                await store.open()
            assert not isinstance(caught.value, StoreUnavailable)

    async def test_no_primary(self) -> None:
        hello = {"secondary": True, "setName": "rs0", "hosts": [], "maxWireVersion": 21}
        async with impostor(**hello) as url:
            store = store_from_url(f"{url}/shop?replicaSet=rs0&serverSelectionTimeoutMS=500")
            with pytest.raises(StoreUnavailable, match="no server .* is its primary"):
                await store.open()


class TestIndexes:
    async def test_made_once(self, shop: Shop) -> None:
        assert [*await shop.store.migrate()] == []
        assert {*await shop.messages.index_information()} == {"_id_", *INDEXES}
        other = shop.another()
        shop.asked.take()
        await other.open()  # with all of it there, nothing is written
        assert {*shop.asked.take()} == {"listCollections", "listIndexes", "find"}
        await other.close()

    async def test_made_by_migrate(self, shop: Shop) -> None:
        await shop.messages.drop_indexes()
        store = shop.another(auto_migrate=False)
        await store.open()
        assert len(await store.check()) == 1
        assert "lacks the indexes duly_due, " in (await store.check())[0]
        told = await store.migrate(dry_run=True)
        assert {*await shop.messages.index_information()} == {"_id_"}
        assert told[0] == (
            f'db.getCollection("{COLLECTION}").createIndex({{"status": 1, "due": 1}}, '
            '{"name": "duly_due"})'
        )
        assert [*await store.migrate()] == [*told]
        assert len(told) == len(INDEXES)
        assert [*await store.check()] == []
        await store.close()

    @pytest.mark.parametrize(
        ("keys", "options"), [([("due", 1), ("status", 1)], {}), ([("status", 1), ("due", 1)], {"sparse": True}),
                              ([("status", 1), ("due", 1)], {"unique": True})],
    )  # fmt: skip
    async def test_one_of_that_name_with_other_keys(
        self, shop: Shop, keys: Any, options: Any
    ) -> None:
        await shop.messages.drop_index("duly_due")
        await shop.messages.create_index(keys, name="duly_due", **options)
        with pytest.raises(StoreError, match="an index duly_due with other keys or options"):
            await shop.another().open()

    async def test_a_layout_of_a_later_duly(self, shop: Shop) -> None:
        await shop.leases.update_one({"_id": "duly"}, {"$set": {"usable_from": 2}})
        with pytest.raises(StoreError, match="usable from version 2 .* upgrade"):
            await shop.another().open()

    async def test_what_is_no_plain_collection(self, shop: Shop) -> None:
        await shop.database.create_collection("capped", capped=True, size=4096)
        with pytest.raises(StoreError, match=r"not a plain collection \(capped\)"):
            await MongoStore(shop.database, collection="capped").open()

    async def test_a_namespace_that_is_dropped_while_in_use(self, shop: Shop) -> None:
        await shop.client.drop_database(DATABASE)
        async with duly.Client(shop.store) as client:
            await client.schedule(Message("event", id="a", scheduled_at=after(hours=-1)))
            assert (await client.stats()).scheduled == 1
        from datetime import timedelta

        batch = await shop.store.claim(limit=9, lease=timedelta(minutes=1), owner="a")
        assert len(batch.claims) == 1


class TestConcerns:
    async def test_a_majority_and_its_journals(self, shop: Shop) -> None:
        await shop.store.put([])
        concern = shop.store._opened.space.write_concern
        assert concern.document == {"w": "majority", "j": True}
        shop.asked.take()
        await shop.store.cancel(["a", "b"])
        async with duly.Client(shop.store) as client:
            await client.schedule(Message("event", scheduled_at=after()))
        (insert,) = (each for each in shop.asked.commands if "insert" in each)
        assert insert["writeConcern"] == {"w": "majority", "j": True}
        assert [*await shop.store.check()] == []

    @pytest.mark.parametrize(
        ("concern", "said"),
        [
            (WriteConcern(1), "w=1 lets an election undo"),
            (WriteConcern("majority", j=False), "journal=false lets a crash undo"),
        ],
    )
    async def test_a_weaker_one_is_told(self, shop: Shop, concern: WriteConcern, said: str) -> None:
        weak = shop.database.with_options(write_concern=concern)
        store = MongoStore(weak, collection=COLLECTION)
        async with duly.Client(store) as client:
            health = await client.health()
            assert health.status is duly.Status.DEGRADED
            assert said in health.reason
        await store.close()

    @pytest.mark.parametrize(
        ("asked", "concern"),
        [
            ("wTimeoutMS=2000", {"w": "majority", "j": True, "wtimeout": 2000}),
            ("journal=true", {"w": "majority", "j": True}),
            ("w=majority", {"w": "majority", "j": True}),
            ("w=1", {"w": 1, "j": True}),
            ("journal=false", {"w": "majority", "j": False}),
            ("w=2&wTimeoutMS=100", {"w": 2, "j": True, "wtimeout": 100}),
        ],
    )
    async def test_what_is_asked_for_replaces_nothing_else(
        self, asked: str, concern: dict[str, Any]
    ) -> None:
        client: Any = AsyncMongoClient(f"mongodb://127.0.0.1/shop?{asked}", connect=False)
        assert concern_of(client.shop).document == concern
        await client.close()

    async def test_by_url(self, mongo_url: str) -> None:
        async with duly.Client(f"{mongo_url}/{DATABASE}?w=1&collection=weak") as client:
            assert "w=1" in (await client.health()).reason

    async def test_none_is_refused(self, shop: Shop) -> None:
        blind = shop.database.with_options(write_concern=WriteConcern(0))
        with pytest.raises(StoreError, match="w=0, with which nobody knows"):
            await MongoStore(blind, collection=COLLECTION).open()
