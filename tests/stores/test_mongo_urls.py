"""MongoDB's URLs and handles: what is taken, what is refused, and what is never shown."""

from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import AsyncMongoClient, MongoClient
from tests.servers.mongo import mongo_url

import duly
from duly import InvalidArgument
from duly_mongo import MongoStore
from duly_mongo.clients import store_from_url
from duly_mongo.handles import Made

__all__ = ["mongo_url"]  # fixtures are found by their names


def made(url: str) -> Made:
    source = store_from_url(url)._source
    assert isinstance(source, Made)
    return source


@pytest.mark.parametrize(
    ("url", "uri", "database"),
    [
        ("mongodb://localhost", "mongodb://localhost/?", "duly"),
        ("mongodb://localhost/shop", "mongodb://localhost/shop?", "shop"),
        (
            "mongodb://u:p%40ss@h1:27018,h2/shop?replicaSet=rs0&collection=jobs&w=1",
            "mongodb://u:p%40ss@h1:27018,h2/shop?replicaSet=rs0&w=1",
            "shop",
        ),
        (
            "mongodb+srv://u:p@cluster.example.net/shop?authSource=admin",
            "mongodb+srv://u:p@cluster.example.net/shop?authSource=admin",
            "shop",
        ),
        (
            "mongodb://h/?authMechanismProperties=SERVICE_NAME:b&retryWrites=no&auto_migrate=false",
            "mongodb://h/?authMechanismProperties=SERVICE_NAME%3Ab&retryWrites=false",
            "duly",
        ),
    ],
)
def test_what_the_driver_gets_to_see(url: str, uri: str, database: str) -> None:
    source = made(url)
    assert (source.uri.removesuffix("?"), source.database) == (uri.removesuffix("?"), database)


def test_what_is_ours() -> None:
    store = store_from_url("mongodb://h/shop?collection=jobs&auto_migrate=no")
    assert (store._collection, store._auto_migrate) == ("jobs", False)
    store = store_from_url("mongodb://h/shop")
    assert (store._collection, store._auto_migrate) == ("scheduled_messages", True)
    assert made("mongodb://h?connectTimeoutMS=7").options == {
        "appName": "duly",
        "serverSelectionTimeoutMS": 5000,
        "socketTimeoutMS": 20000,
    }


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("mongodb:///shop", "names no host"),
        ("mongodb://", "names no host"),
        ("mongodb://h/shop?colection=jobs", "unknown option 'colection'; known: .*collection"),
        ("mongodb://h/shop?collection=", "cannot be its name"),
        ("mongodb://h/shop?collection=a$b", "cannot be its name"),
        ("mongodb://h/shop?collection=system.users", "cannot be its name"),
        ("mongodb://h/shop?collection=" + "x" * 181, "cannot be its name"),
        ("mongodb://h/shop?auto_migrate=perhaps", "neither true nor false"),
        ("mongodb://h/shop?connectTimeoutMS=fast", "whole number"),
        ("mongodb://h/a/b", "cannot be the name of a database"),
        ("mongodb://h/a%20b", "cannot be the name of a database"),
        ("mongodb://h/shop?tls_ca=ca.pem", "tls_ca is given without tls=true"),
        ("mongodb://h/shop?tls=true&tls_key=key.pem", "tls_key is given without tls_cert"),
        (
            "mongodb://h/?authMechanismProperties=AWS_SESSION_TOKEN:x",
            "does not belong in a URL$|from the environment",
        ),
        ("mongodb://h/shop?ssl=true", "unknown option 'ssl'; known: .*tls, tls_ca"),
    ],
)
def test_what_is_refused(url: str, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text.replace("*", ".*").replace("..*", ".*")):
        store_from_url(url)


@pytest.mark.parametrize(
    "options", ["w=1&journal=maybe", "authMechanism=NONE", "w=-1", "zlibCompressionLevel=12"]
)
def test_what_the_driver_refuses(options: str) -> None:
    with pytest.raises(InvalidArgument):
        store_from_url(f"mongodb://localhost/shop?{options}")


async def test_files_of_certificates_that_are_not_there() -> None:
    store = store_from_url("mongodb://localhost/shop?tls=true&tls_ca=missing.pem")
    with pytest.raises(InvalidArgument, match=r"tls_ca: there is no file missing.pem"):
        await store.open()


async def test_secrets_are_not_shown() -> None:
    store = store_from_url("mongodb://ada:sesame@localhost:1/shop?serverSelectionTimeoutMS=10")
    assert "sesame" not in f"{store!r} {store._source!r} {vars(store)!r}"
    with pytest.raises(duly.StoreUnavailable) as caught:
        await store.open()
    assert "sesame" not in str(caught.value)
    with pytest.raises(InvalidArgument) as refused:
        store_from_url("mongodb://ada:sesame@localhost/shop?colection=x")
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    "handle", [None, "mongodb://localhost", MongoClient(connect=False).shop], ids=repr
)
def test_a_handle_of_another_kind(handle: Any) -> None:
    with pytest.raises(InvalidArgument, match="AsyncIOMotorDatabase of Motor or an AsyncDatabase"):
        MongoStore(handle)


@pytest.mark.parametrize("connect", [AsyncIOMotorClient, AsyncMongoClient])
async def test_a_handle_is_left_open(mongo_url: str, connect: Any) -> None:
    client = connect(mongo_url)
    store = MongoStore(client.duly_handles)
    async with duly.Client(store) as first:
        assert await first.list() == []
    await store.close()
    assert (await client.admin.command("ping"))["ok"]
    await client.drop_database("duly_handles")
    closing = client.close()
    if closing is not None:
        await closing


async def test_a_url_opens_and_closes_again(mongo_url: str) -> None:
    client = duly.Client(f"{mongo_url}/duly_urls?collection=again")
    for _ in range(2):
        await client.open()
        assert (await client.stats()).scheduled == 0
        await client.close()
    other: Any = AsyncIOMotorClient(mongo_url)
    await other.drop_database("duly_urls")
    other.close()
